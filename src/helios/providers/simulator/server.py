"""The application: its routes, and what happens to a request between the door and the bill."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from helios.domain.usage import Usage
from helios.ports.clock import Clock
from helios.providers.simulator import replies
from helios.providers.simulator.dropping import Drop, DroppedResponse
from helios.providers.simulator.faults import REFUSALS, SLOW_S, Fault, FaultPlan
from helios.providers.simulator.latency import Delay, delay_of
from helios.providers.simulator.meter import Billed, Meter
from helios.providers.simulator.replies import Reply
from helios.providers.simulator.requests import ApiError, Asked, collect, read_request
from helios.providers.simulator.script import Answer, Script

MAX_BODY_BYTES = 32 * 1024 * 1024
NO_ANSWER = (
    "simulated: no recorded answer for this request; "
    "configure a provider key (ANTHROPIC_API_KEY) to ask a real model"
)
_THREAD_FROM_BYTES = 256 * 1024
_LABEL = "x-helios-"

Handler = Callable[[Request, str], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a simulator answers with, and how."""

    script: Script
    meter: Meter
    clock: Clock
    time_scale: float = 1.0
    faults: FaultPlan = field(default_factory=FaultPlan)
    models: tuple[str, ...] = ()


class _StoppedError(Exception):
    """The server is going down; nobody waits for this answer."""


class Simulator:
    """The ASGI application and its state.

    Args:
        setup: what it answers with.
        drop: closes a client's connection.
        name: a part of every id, so that ids of different servers differ.
    """

    def __init__(self, setup: Setup, drop: Drop, name: str) -> None:
        self._setup = setup
        self._drop = drop
        self._name = name
        self._ids = 0
        self._seen: Counter[str] = Counter()
        self._closing = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/v1/messages", self._guard(self._message), methods=["POST"]),
                Route("/v1/messages/count_tokens", self._guard(self._count), methods=["POST"]),
                Route("/v1/models", self._guard(self._models)),
                Route("/v1/models/{model}", self._guard(self._model)),
                Route("/_meter", self._guard(self._meter)),
                Route("/", self._guard(self._hello), methods=["HEAD"]),
            ],
            exception_handlers={HTTPException: self._http_error},
        )

    def stop(self) -> None:
        """Let no request wait any longer."""
        self._closing.set()

    def _guard(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Give the request an id, and what goes wrong the API's shape."""

        async def endpoint(request: Request) -> Response:
            request_id = self._next_id()
            try:
                return await handler(request, request_id)
            except ApiError as error:
                body = error.body(request_id)
                return self._json(body, request_id, status=error.status, extra=error.headers)
            except (_StoppedError, ClientDisconnect):
                return DroppedResponse(self._drop)

        return endpoint

    async def _message(self, request: Request, request_id: str) -> Response:
        raw = await collect(request.stream(), MAX_BODY_BYTES)
        asked = await _in_thread_if_large(raw, lambda: read_request(raw))
        digest = hashlib.sha256(raw).hexdigest()
        answer, fault = self._choose(asked, digest)
        refusal = REFUSALS.get(fault) if fault else None
        if refusal:
            raise ApiError(refusal.status, refusal.kind, refusal.message, refusal.headers)
        reply = _compose(request_id, asked, answer, fault, len(raw))
        tokens = reply.usage.output_tokens
        delay = delay_of(reply.model, tokens, digest, self._setup.time_scale)
        await self._wait(delay.first_s if asked.stream else delay.whole_s)
        if fault is Fault.SLOW:
            await self._wait(SLOW_S, request)
        self._bill(request, request_id, reply, fault)
        return self._send(request_id, reply, fault, delay if asked.stream else None)

    def _choose(self, asked: Asked, digest: str) -> tuple[Answer, Fault | None]:
        found = self._setup.script.find(asked.conversation)
        if found is None:
            raise ApiError(400, "invalid_request_error", NO_ANSWER)
        answer, fault = found
        sighting = self._seen[digest]
        self._seen[digest] += 1
        return answer, fault or self._setup.faults.draw(digest, sighting)

    def _bill(self, request: Request, request_id: str, reply: Reply, fault: Fault | None) -> None:
        labels = {
            unquote(key.removeprefix(_LABEL)): unquote(value)
            for key, value in request.headers.items()
            if key.startswith(_LABEL)
        }
        now = self._setup.clock.now()
        try:
            self._setup.meter.record(
                Billed(request_id, reply.id, reply.model, reply.usage, now, labels, fault)
            )
        except OSError as error:
            raise ApiError(
                500, "api_error", f"simulated: the meter cannot be written: {error}"
            ) from error

    def _send(
        self, request_id: str, reply: Reply, fault: Fault | None, delay: Delay | None
    ) -> Response:
        if delay is None:
            body = replies.to_json(reply.message())
            if fault is Fault.CUT:
                length = {"content-length": str(len(body))}
                shown = {**self._headers(request_id), **length}
                return DroppedResponse(self._drop, _half([body]), shown)
            half = body[: len(body) // 2]
            return self._raw(half if fault is Fault.MALFORMED else body, request_id)
        events = [replies.event_bytes(kind, data) for kind, data in reply.events()]
        shown = {**self._headers(request_id), "content-type": "text/event-stream; charset=utf-8"}
        if fault is Fault.CUT:
            return DroppedResponse(self._drop, _half(events), shown)
        if fault is Fault.MALFORMED:
            events[len(events) // 2] = b'event: content_block_delta\ndata: {"type":\n\n'
        return StreamingResponse(self._stream(events, delay.rest_s), headers=shown)

    async def _stream(self, events: list[bytes], seconds: float) -> AsyncIterator[bytes]:
        pause_s = seconds / len(events)
        try:
            for event in events:
                yield event
                await self._wait(pause_s)
        except _StoppedError:
            return

    async def _count(self, request: Request, request_id: str) -> Response:
        raw = await collect(request.stream(), MAX_BODY_BYTES)
        asked = await _in_thread_if_large(raw, lambda: read_request(raw, needs_max_tokens=False))
        return self._json({"input_tokens": asked.input_tokens}, request_id)

    async def _models(self, _: Request, request_id: str) -> Response:
        names = self._setup.models
        listed = [_described(name) for name in names]
        first, last = (names[0], names[-1]) if names else (None, None)
        body = {"data": listed, "has_more": False, "first_id": first, "last_id": last}
        return self._json(body, request_id)

    async def _model(self, request: Request, request_id: str) -> Response:
        name = request.path_params["model"]
        if name not in self._setup.models:
            raise ApiError(404, "not_found_error", f"model: {name}")
        return self._json(_described(name), request_id)

    async def _meter(self, _: Request, request_id: str) -> Response:
        return self._json(self._setup.meter.reading().as_json(), request_id)

    async def _hello(self, _: Request, request_id: str) -> Response:
        return self._raw(b"", request_id)

    async def _http_error(self, _: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        kind = "not_found_error" if status == 404 else "invalid_request_error"
        request_id = self._next_id()
        body = ApiError(status, kind, str(getattr(error, "detail", error))).body(request_id)
        return self._json(body, request_id, status=status)

    async def _wait(self, seconds: float, request: Request | None = None) -> None:
        """Wait by the clock; given a request, no longer than its client does."""
        if self._closing.is_set():
            raise _StoppedError
        if seconds <= 0:
            return
        waits = [self._setup.clock.sleep(seconds), _event(self._closing)]
        if request is not None:
            waits.append(_client_gone(request))
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._closing.is_set():
            raise _StoppedError

    def _next_id(self) -> str:
        self._ids += 1
        return f"req_sim_{self._name}{self._ids:06d}"

    def _headers(self, request_id: str) -> dict[str, str]:
        return replies.headers(request_id, self._setup.clock.now())

    def _json(
        self,
        body: Mapping[str, Any],
        request_id: str,
        *,
        status: int = 200,
        extra: Mapping[str, str] | None = None,
    ) -> Response:
        return self._raw(replies.to_json(body), request_id, status=status, extra=extra)

    def _raw(
        self,
        body: bytes,
        request_id: str,
        *,
        status: int = 200,
        extra: Mapping[str, str] | None = None,
    ) -> Response:
        shown = {**self._headers(request_id), **(extra or {})}
        return Response(body, status, shown, media_type="application/json")


def _compose(
    request_id: str, asked: Asked, answer: Answer, fault: Fault | None, body_bytes: int
) -> Reply:
    message_id = request_id.replace("req_", "msg_", 1)
    content, stop_reason = replies.content_of(answer, message_id, asked.max_tokens)
    usage = Usage(asked.input_tokens, min(answer.tokens, asked.max_tokens))
    if fault is Fault.ABOVE_ESTIMATE:
        # More than any bound can allow for: a token a byte, and the maximum of the output.
        usage = Usage(2 * body_bytes + 1000, 2 * asked.max_tokens)
    return Reply(
        id=message_id,
        model=asked.conversation.model,
        content=content,
        stop_reason=stop_reason,
        usage=usage,
        shows_usage=fault is not Fault.MISSING_USAGE,
    )


async def _in_thread_if_large(raw: bytes, read: Callable[[], Asked]) -> Asked:
    """Reading 20 MB takes a second in which other requests want to be answered."""
    return await asyncio.to_thread(read) if len(raw) > _THREAD_FROM_BYTES else read()


async def _half(parts: list[bytes]) -> AsyncIterator[bytes]:
    """The first half of the parts, or of the one part."""
    kept = parts[: len(parts) // 2] or [parts[0][: len(parts[0]) // 2]]
    for part in kept:
        yield part


async def _event(event: asyncio.Event) -> None:
    await event.wait()


async def _client_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _described(model: str) -> dict[str, Any]:
    words = model.replace("-", " ").title()
    return {
        "type": "model",
        "id": model,
        "display_name": f"{words} (simulated)",
        "created_at": "2026-11-01T00:00:00Z",
    }
