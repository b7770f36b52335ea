"""The application: which handler answers a request, and errors in the API's shape."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from helios.providers.simulator.answering import Answering, Caller, Setup
from helios.providers.simulator.batches import Batches
from helios.providers.simulator.chat import CHAT
from helios.providers.simulator.dialect import MESSAGES, Dialect
from helios.providers.simulator.exchange import FAULT_HEADER, Exchange, LeftError, Lines
from helios.providers.simulator.models import list_models, one_model, openai_models
from helios.providers.simulator.replies import to_json
from helios.providers.simulator.requests import ApiError, Asked, read_request
from helios.providers.simulator.sending import Sender

_THREAD_FROM_BYTES = 256 * 1024

Handler = Callable[[Exchange], Awaitable[None]]


class Simulator:
    """The ASGI application and its state.

    Args:
        setup: what it answers with.
        lines: the open connections.
        name: a part of every id, so that ids of different servers differ.
    """

    def __init__(self, setup: Setup, lines: Lines, name: str) -> None:
        self._setup = setup
        self._lines = lines
        self._name = name
        self._ids = 0
        self._answering = Answering(setup)
        self._batches = Batches(self._answering)
        self._busy: set[asyncio.Task[Any] | None] = set()
        self._closing = False
        self._exact: dict[str, dict[str, Handler]] = {
            "/v1/messages": {"POST": self._message},
            "/v1/chat/completions": {"POST": self._chat},
            "/openai/v1/chat/completions": {"POST": self._chat},
            "/v1/messages/count_tokens": {"POST": self._count},
            "/v1/messages/batches": {"POST": self._new_batch, "GET": self._list_batches},
            "/v1/models": {"GET": self._models},
            "/openai/v1/models": {"GET": self._openai_models},
            "/_meter": {"GET": self._meter},
            "/": {"HEAD": self._hello, "GET": self._hello},
            "/api/hello": {"HEAD": self._hello, "GET": self._hello},
        }

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self._ids += 1
        request_id = f"req_sim_{self._name}{self._ids:06d}"
        exchange = Exchange(scope, receive, send, self._lines, request_id)
        task = asyncio.current_task()
        self._busy.add(task)
        try:
            await (exchange.drop() if self._closing else self._answer(exchange))
        except LeftError:
            await exchange.drop()
        except asyncio.CancelledError:
            if not self._closing:
                raise
            await exchange.drop()
        finally:
            self._busy.discard(task)
        if exchange.gone:
            await exchange.left()

    async def stop(self) -> None:
        """Let no request wait any longer; what was begun is billed as far as it was sent."""
        self._closing = True
        await self._batches.stop()
        for task in self._busy:
            if task:
                task.cancel()

    async def _answer(self, exchange: Exchange) -> None:
        """Handle it, and give what goes wrong the API's shape."""
        try:
            await self._handler(exchange)(exchange)
        except ApiError as error:
            if exchange.started:
                await exchange.drop()
                return
            dialect = CHAT if exchange.path.endswith("/chat/completions") else MESSAGES
            body = to_json(dialect.error(error, exchange.id))
            extra = [(k.encode(), v.encode()) for k, v in error.headers.items()]
            now = self._setup.clock.now()
            limits = self._answering.limits.headers(exchange.organisation, now)
            await exchange.answer(error.status, body, (*limits, *extra))

    def _handler(self, exchange: Exchange) -> Handler:
        methods = self._exact.get(exchange.path) or self._under(exchange.path)
        handler = methods.get(exchange.method)
        if handler is None and methods:
            raise ApiError(405, "invalid_request_error", "Method Not Allowed")
        if handler is None:
            raise ApiError(404, "not_found_error", "Not Found")
        return handler

    def _under(self, path: str) -> dict[str, Handler]:
        """The handlers of a path with a name in it."""
        if path.startswith(("/v1/models/", "/openai/v1/models/")):
            return {"GET": self._model}
        if path.startswith("/v1/messages/batches/"):
            return {"GET": self._batch, "POST": self._batch, "DELETE": self._batch}
        return {}

    async def _message(self, exchange: Exchange) -> None:
        await self._respond(exchange, MESSAGES)

    async def _chat(self, exchange: Exchange) -> None:
        await self._respond(exchange, CHAT)

    async def _respond(self, exchange: Exchange, dialect: Dialect) -> None:
        raw = await exchange.body()
        asked = await _in_thread_if_large(raw, lambda: dialect.read(raw))
        digest = hashlib.sha256(raw).hexdigest()
        caller = self._caller(exchange)
        work = self._answering.accept(asked, digest, caller, body_bytes=len(raw))
        sender = Sender(self._answering, exchange, dialect)
        if asked.stream:
            await sender.send_stream(work, dialect.frames(work.reply, asked))
        else:
            await sender.send_whole(work)

    def _caller(self, exchange: Exchange) -> Caller:
        return Caller(
            exchange.id,
            exchange.organisation.decode("latin-1"),
            exchange.labels(),
            exchange.header(FAULT_HEADER),
        )

    async def _count(self, exchange: Exchange) -> None:
        raw = await exchange.body()
        asked = await _in_thread_if_large(raw, lambda: read_request(raw, needs_max_tokens=False))
        await self._json(exchange, {"input_tokens": asked.input_tokens})

    async def _models(self, exchange: Exchange) -> None:
        await self._json(exchange, list_models(self._setup.models, exchange.query))

    async def _openai_models(self, exchange: Exchange) -> None:
        await self._json(exchange, openai_models(self._setup.models))

    async def _model(self, exchange: Exchange) -> None:
        openai, _, name = exchange.path.partition("/v1/models/")
        await self._json(exchange, one_model(self._setup.models, name, openai=bool(openai)))

    async def _new_batch(self, exchange: Exchange) -> None:
        raw = await exchange.body()
        await self._json(
            exchange, self._batches.create(raw, self._caller(exchange), _host(exchange))
        )

    async def _list_batches(self, exchange: Exchange) -> None:
        await self._json(exchange, self._batches.listing(exchange.query, _host(exchange)))

    async def _batch(self, exchange: Exchange) -> None:
        name, _, action = exchange.path.removeprefix("/v1/messages/batches/").partition("/")
        if action == "results" and exchange.method == "GET":
            lines = self._batches.results(name)
            await exchange.answer(200, lines, kind=b"application/x-jsonl")
            return
        await self._json(
            exchange, self._batches.act(exchange.method, name, action, _host(exchange))
        )

    async def _meter(self, exchange: Exchange) -> None:
        each = exchange.query != "sums"
        await self._json(exchange, self._setup.meter.reading().as_json(each=each))

    async def _hello(self, exchange: Exchange) -> None:
        await self._json(exchange, {"simulated": True})

    async def _json(self, exchange: Exchange, body: Mapping[str, Any]) -> None:
        limits = self._answering.limits.headers(exchange.organisation, self._setup.clock.now())
        await exchange.answer(200, to_json(body), limits)


def _host(exchange: Exchange) -> str:
    return f"http://{exchange.header(b'host')}"


async def _in_thread_if_large(raw: bytes, read: Callable[[], Asked]) -> Asked:
    """Reading 20 MB takes a second in which other requests want to be answered."""
    return await asyncio.to_thread(read) if len(raw) > _THREAD_FROM_BYTES else read()
