"""One request: what is asked, by whom, and who answers it."""

import asyncio
import re
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from starlette.types import Receive, Send

from helios.bootstrap.gateway import GatewayDesk
from helios.domain.gateway.key import GatewayKey, Reason, Refused, problem_with_model
from helios.domain.gateway.refusal import (
    SOON_S,
    Refusal,
    bad_request,
    in_place_of,
    no_such_method,
    no_such_path,
    not_allowed,
    of_error,
    only_once,
    store_down,
    too_soon,
)
from helios.domain.gateway.request import Asked, read_request
from helios.errors import HeliosError, ModelError
from helios.ports.upstream import UpstreamRequest
from helios.server.gateway.allowance import NoRoomLeft, Share
from helios.server.gateway.answers import answer, refuse, start
from helios.server.gateway.attribution import Attribution, attribute
from helios.server.gateway.farewell import PERHAPS_MADE
from helios.server.gateway.incoming import Incoming, read_body
from helios.server.gateway.messages import Afterwards, Exchange
from helios.services.responses import BatchInbound, Inbound
from helios.services.responses.batches import PATH as BATCHES
from helios.services.responses.batches import Answered, BatchMaking

MESSAGES = "/v1/messages"
MODELS = "/v1/models"
COUNT = "/v1/messages/count_tokens"
HOST = re.compile(rb"[A-Za-z0-9.:\[\]-]+")
BATCH = re.compile(rf"{BATCHES}/([^/]+)(?:/cancel|/results)?")
RESULTS_URL = re.compile(rb'("results_url"\s*:\s*")https?://[^/"]+')
THREAD_FROM_BYTES = 256 * 1024
"""Reading a larger body takes milliseconds in which others want to be answered."""
FREE_TIMEOUT_S = 60.0
WATCH_AFTER_S = 0.1
NOTING_S = 10.0
"""How long a client waits for the books after its batch was made; clients accept a minute."""
NOT_BOOKED = "what this batch took is not booked yet, which needs its results; delete it later"
CROWDED = "too many large requests are under way; try again, or send smaller ones"
NO_SUCH_BATCH = Refusal(
    404, "not_found_error", "this key's account, and those below it, have no such batch"
)


class RefusedError(Exception):
    """The request ends here, with this answer; `because` is for the log."""

    def __init__(self, refusal: Refusal, because: str = "") -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.because = because or refusal.kind


class Visit:
    """A request on its way to whoever answers it."""

    def __init__(
        self,
        desk: GatewayDesk,
        afterwards: Afterwards,
        incoming: Incoming,
        send: Send,
        share: Share,
    ) -> None:
        self._desk = desk
        self._afterwards = afterwards
        self._incoming = incoming
        self._send = send
        self._share = share
        self.id = f"gw_{secrets.token_hex(12)}"

    async def serve(self, receive: Receive) -> None:
        """Find out what is asked, by whom, and answer.

        Raises:
            RefusedError: it is not served.
            HeliosError: it cannot be served.
        """
        method, path = self._incoming.method, self._incoming.path
        if path.startswith(MESSAGES) and not self._incoming.is_plain:
            raise RefusedError(no_such_path(self._incoming.written_path))
        if path == MESSAGES and method == "POST":
            await self._message(receive)
        elif path in ("/", "/api/hello") and method in ("HEAD", "GET"):
            await answer(self._send, 200, (), b"", self.id)
        elif path == COUNT and method == "POST":
            await self._forward(await self._body(receive))
        elif _is_below(path, MODELS) and method == "GET":
            await self._forward(b"")
        elif path == BATCHES and method == "POST":
            await self._new_batch(receive)
        elif _is_below(path, BATCHES) and method in ("GET", "POST", "DELETE"):
            await self._batch(method, path)
        elif allowed := _methods_of(path):
            raise RefusedError(no_such_method(method, allowed))
        else:
            raise RefusedError(no_such_path(path))

    async def _message(self, receive: Receive) -> None:
        body = await self._body(receive)
        asked = await read_asked(body)
        key = await self._admitted(asked.model)
        for name, _ in asked.fallbacks:
            if problem := problem_with_model(key, name):
                raise _of_access(problem)
        whose = self._attributed(key, asked.user_id)
        desk = self._desk
        call = Inbound(
            request_id=self.id,
            target=self._incoming.target,
            headers=self._incoming.passed_on,
            body=body,
            asked=asked,
            key=key,
            account=whose.account,
            shut_out=self._shut_out,
            project=whose.project,
            task=whose.task,
            agent=whose.agent,
            priority=whose.priority,
            hold_s=desk.hold_s if whose.hold_s is None else whose.hold_s,
            policy=whose.policy,
        )
        exchange = Exchange(
            desk.forwarder, desk.clock, self._afterwards, call, self._send, self._share
        )
        await unless_gone(exchange.run(), receive)

    async def _new_batch(self, receive: Receive) -> None:
        body = await self._body(receive)
        key = await self._admitted(None)
        whose = self._attributed(key, "")
        call = BatchInbound(
            request_id=self.id,
            target=self._incoming.target,
            headers=self._incoming.passed_on,
            body=body,
            key=key,
            account=whose.account,
            project=whose.project,
            priority=whose.priority,
        )
        making = await self._desk.batches.admit(call)
        if isinstance(making, Refusal):
            raise RefusedError(making)
        self._afterwards.expect(self.id)
        request = UpstreamRequest("POST", call.target, call.headers, body, lane=BATCHES)
        await self._make(making, request)

    async def _make(self, making: BatchMaking, request: UpstreamRequest) -> None:
        """Send a batch; its client hears of it once it can be found, or could not be noted soon."""
        try:
            made = await making.send(request)
        except ModelError as error:
            if not making.may_exist:
                raise
            refusal = of_error(error, self._desk.clock.now())
            raise RefusedError(only_once(refusal), error.message) from error
        except asyncio.CancelledError:
            if making.may_exist:
                await refuse(self._send, PERHAPS_MADE, self.id)
            raise
        finally:
            noting = self._afterwards.do(self.id, making.finish())
        try:
            await asyncio.wait({noting}, timeout=NOTING_S)
        finally:
            await self._tell_of_batch(made)

    async def _batch(self, method: str, path: str) -> None:
        """A batch that is there; what it took is booked before its results can be deleted."""
        key = await self._admitted(None)
        if method == "GET" and path == BATCHES:
            target, headers = self._incoming.target, self._incoming.passed_on
            await self._tell_of_batch(await self._desk.batches.listed(key.account, target, headers))
            return
        await self._check_sees(key, path)
        upstream_id = path.removeprefix(BATCHES).strip("/").partition("/")[0]
        if upstream_id and method == "DELETE":
            await self._check_settled(upstream_id)
        if not path.endswith("/results"):
            asked = await self._desk.batches.ask(
                method, self._incoming.target, self._incoming.passed_on
            )
            await self._tell_of_batch(asked)
            return
        await self._pass_on(b"")
        if upstream_id:
            with suppress(HeliosError):  # answered already; what looks after batches tries again
                await self._desk.batches.settle_ended(upstream_id)

    async def _check_settled(self, upstream_id: str) -> None:
        if because := await self._desk.batches.unsettled(upstream_id):
            raise RefusedError(store_down(NOT_BOOKED), f"not settled: {because}")

    async def _check_sees(self, key: GatewayKey, path: str) -> None:
        """A key sees its own batches, and no path that could be read as another's."""
        found = BATCH.fullmatch(path)
        if not await self._desk.batches.sees(key.account, found[1] if found else ""):
            raise RefusedError(NO_SUCH_BATCH)

    async def _tell_of_batch(self, told: Answered) -> None:
        """Clients fetch results where the batch says: that has to be here."""
        _check_for_client(told.status)
        host = self._incoming.header(b"host").encode("latin-1")
        body = told.body
        if HOST.fullmatch(host):
            body = RESULTS_URL.sub(rb"\1http://" + host, body)
        await answer(self._send, told.status, told.headers, body, self.id)

    async def _forward(self, body: bytes) -> None:
        """Forward what costs nothing."""
        await self._admitted(None)
        await self._pass_on(body)

    async def _pass_on(self, body: bytes) -> None:
        incoming, path = self._incoming, self._incoming.path
        request = UpstreamRequest(
            incoming.method,
            incoming.target,
            incoming.passed_on,
            body,
            FREE_TIMEOUT_S,
            lane=next((top for top in (MODELS, BATCHES) if _is_below(path, top)), path),
        )
        reply = await self._desk.upstream.send(request)
        try:
            _check_for_client(reply.status)
            await start(self._send, reply.status, reply.headers, self.id)
            async for chunk in reply.chunks():
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await reply.close()
        await self._send({"type": "http.response.body", "body": b""})

    async def _body(self, receive: Receive) -> bytes:
        """The body, of somebody who is known."""
        known = await self._desk.access.identify(self._incoming.credential)
        if isinstance(known, Refused):
            raise _of_access(known)
        try:
            return await read_body(self._incoming, receive, self._share)
        except NoRoomLeft:
            raise RefusedError(too_soon(CROWDED, SOON_S), "no room for its body") from None

    async def _shut_out(self) -> Refusal | None:
        """Why its key is not let in any more, which a request may outlive while it is held."""
        known = await self._desk.access.identify(self._incoming.credential)
        return _of_access(known).refusal if isinstance(known, Refused) else None

    async def _admitted(self, model: str | None) -> GatewayKey:
        admitted = await self._desk.access.admit(self._incoming.credential, model)
        if isinstance(admitted, Refused):
            raise _of_access(admitted)
        return admitted.key

    def _attributed(self, key: GatewayKey, user_id: str) -> Attribution:
        whose = attribute(self._incoming, key, user_id)
        if isinstance(whose, str):
            raise RefusedError(bad_request(whose))
        return whose


def _of_access(refused: Refused) -> RefusedError:
    rate = refused.reason is Reason.RATE
    refusal = too_soon(refused.message, refused.wait_s) if rate else not_allowed(refused.message)
    whose = f" {refused.key.name}" if refused.key else ""
    return RefusedError(refusal, f"key{whose}: {refused.reason}")


def _check_for_client(status: int) -> None:
    if refusal := in_place_of(status):
        raise RefusedError(refusal, refusal.message)


def _methods_of(path: str) -> str:
    """What may be done there; "" where nothing is served."""
    if path in (MESSAGES, COUNT):
        return "POST"
    if _is_below(path, BATCHES):
        return "GET, POST, DELETE"
    return "GET" if _is_below(path, MODELS) else ""


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}/")


async def read_asked(body: bytes) -> Asked:
    """What a body asks; a large one is read beside the others.

    Raises:
        RequestRefused: it is no request.
    """
    if len(body) > THREAD_FROM_BYTES:
        return await asyncio.to_thread(read_request, body)
    return read_request(body)


async def unless_gone(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Do the work unless its client hangs up first; noticed after a moment, so that short work is
    not slowed down.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    watcher: asyncio.Task[None] | None = None
    gone = done = False

    def leave(_: object) -> None:
        nonlocal gone
        if task and watcher and not (done or watcher.cancelled()):
            gone = True
            task.cancel()

    def watch() -> None:
        nonlocal watcher
        watcher = loop.create_task(_hang_up(receive))
        watcher.add_done_callback(leave)

    timer = loop.call_later(WATCH_AFTER_S, watch)
    try:
        await work
    except asyncio.CancelledError:
        if not (gone and task):
            raise
        task.uncancel()
    finally:
        done = True
        timer.cancel()
        if watcher:
            watcher.cancel()


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
