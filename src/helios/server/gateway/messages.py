"""POST /v1/messages: admit, hold, send, pass the answer on as it comes, settle."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog
from starlette.types import Send

from helios.domain.gateway.refusal import PING, Refusal, in_place_of, of_error
from helios.errors import HeliosError, ModelError
from helios.ports.clock import Clock
from helios.ports.upstream import Headers, UpstreamReply
from helios.server.gateway.allowance import Share
from helios.server.gateway.answers import EVENTS, answer, refuse, start
from helios.services.responses import Forwarder, Inbound, Passage

SILENT_S = 20.0
"""So long a client is held without a sign; clients accept 75 s of silence."""
PING_S = 10.0
LAST_S = 0.5
"""How long a bill may take that is paid with what is known."""
log = structlog.get_logger("helios.gateway")


class Afterwards:
    """What is still to be done for requests that were admitted: to pay their bills.

    `unpaid` names those whose books are open.
    """

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], str] = {}
        self.unpaid: set[str] = set()

    def expect(self, request_id: str) -> None:
        """From now on there is something to pay."""
        self.unpaid.add(request_id)

    def do(self, request_id: str, paying: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Pay it in the background."""
        task = asyncio.create_task(paying)
        self._tasks[task] = request_id
        task.add_done_callback(self._done)
        return task

    @property
    def busy(self) -> bool:
        """Whether something is being paid."""
        return bool(self._tasks)

    async def wait(self, timeout_s: float) -> None:
        """Let it come to its end, or pay what is known by then; what still is not stays unpaid."""
        for patience_s in (timeout_s, LAST_S, LAST_S):
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=patience_s)
            for task in self._tasks:
                task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        request_id = self._tasks.pop(task)
        if task.cancelled():
            return
        if error := task.exception():
            log.error("not settled", request=request_id, error=str(error), exc_info=error)
        else:
            self.unpaid.discard(request_id)


class Exchange:
    """One request and its answer."""

    def __init__(
        self,
        forwarder: Forwarder,
        clock: Clock,
        afterwards: Afterwards,
        call: Inbound,
        send: Send,
        share: Share,
    ) -> None:
        self._forwarder = forwarder
        self._clock = clock
        self._afterwards = afterwards
        self._call = call
        self._send = send
        self._share = share
        self._started = False
        self._began_at = self._spoke_at = clock.monotonic()

    async def run(self) -> None:
        """Serve it; cancelled when the client hangs up."""
        try:
            admitted = await self._forwarder.admit(self._call, self._held)
        except HeliosError as error:
            await self._refuse(of_error(error, self._clock.now()))
            return
        if isinstance(admitted, Refusal):
            await self._refuse(admitted)
            return
        self._afterwards.expect(self._call.request_id)
        settling = admitted.finish
        try:
            await self._pass(admitted)
        except asyncio.CancelledError:
            settling = admitted.finish_alone
            raise
        except ModelError as error:
            await self._refuse(of_error(error, self._clock.now()))
        finally:
            # Not here: who has the answer may hang up now.
            self._share.keep_until(self._afterwards.do(self._call.request_id, settling()))

    async def _pass(self, passage: Passage) -> None:
        reply = await passage.send()
        if passage.streamed:
            await self._pass_stream(passage, reply)
            return
        if refusal := in_place_of(reply.status):
            log.warning("not passed on", request=self._call.request_id, because=refusal.message)
            await self._refuse(refusal)
            return
        body = await passage.read_all()
        if self._started:
            await self._end_stream(_as_event(body))
            return
        shown = (*reply.headers, *passage.outgoing.notes)
        await answer(self._send, reply.status, shown, body, self._call.request_id)

    async def _pass_stream(self, passage: Passage, reply: UpstreamReply) -> None:
        await self._start((*reply.headers, *passage.outgoing.notes))
        async for chunk in reply.chunks():
            passage.saw(chunk)
            await self._write(chunk)
        passage.saw_end()
        await self._send({"type": "http.response.body", "body": b""})

    async def _held(self) -> None:
        """Give a sign of life while the request is held."""
        now = self._clock.monotonic()
        if not self._call.asked.stream or now - self._began_at < SILENT_S:
            return
        if not self._started:
            await self._start((EVENTS, (b"cache-control", b"no-cache")))
        if now - self._spoke_at >= PING_S:
            self._spoke_at = now
            await self._write(PING)

    async def _start(self, headers: Headers) -> None:
        if not self._started:
            self._started = True
            await start(self._send, 200, headers, self._call.request_id)

    async def _write(self, chunk: bytes) -> None:
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _refuse(self, refusal: Refusal) -> None:
        if self._started:
            await self._end_stream(refusal.as_sse_error(self._call.request_id))
        else:
            await refuse(self._send, refusal, self._call.request_id)

    async def _end_stream(self, event: bytes) -> None:
        await self._send({"type": "http.response.body", "body": event})


def _as_event(body: bytes) -> bytes:
    """An upstream's error after a stream was begun for pings."""
    return b"event: error\ndata: " + body.replace(b"\r", b"").replace(b"\n", b" ") + b"\n\n"
