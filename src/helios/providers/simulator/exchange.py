"""One request and its answer, over bare ASGI: several thousand of them a second."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import unquote

from starlette.types import Receive, Scope, Send

from helios.providers.simulator.requests import ApiError

MAX_BODY_BYTES = 32 * 1024 * 1024
EVENT_STREAM = b"text/event-stream; charset=utf-8"
JSON = b"application/json"
_LABEL = b"x-helios-"
FAULT_HEADER = b"x-helios-fault"

Header = tuple[bytes, bytes]


class Line(Protocol):
    """The connection that a request came by; an asyncio transport is one."""

    def is_closing(self) -> bool:
        """Whether the client has left."""
        ...

    def close(self) -> None:
        """End it once what was written is out."""
        ...


Lines = Mapping[Any, Line]
"""The open connections by their clients' addresses."""


class Exchange:
    """A request, and the way its answer goes."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, lines: Lines, request_id: str
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._line = lines.get(scope.get("client"))
        self.id = request_id
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.started = False
        headers = dict(scope["headers"])
        self._headers: dict[bytes, bytes] = headers
        self.organisation = headers.get(b"x-api-key") or headers.get(b"authorization", b"")

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self._line is None or self._line.is_closing()

    @property
    def query(self) -> str:
        """What stands behind the question mark."""
        return str(self._scope["query_string"].decode("latin-1"))

    def header(self, name: bytes) -> str:
        """A header's value; "" without one."""
        return self._headers.get(name, b"").decode("latin-1")

    def labels(self) -> dict[str, str]:
        """What the `x-helios-` headers say, for the meter."""
        return {
            unquote(key[len(_LABEL) :].decode("latin-1")): unquote(value.decode("latin-1"))
            for key, value in self._headers.items()
            if key.startswith(_LABEL) and key != FAULT_HEADER
        }

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            ApiError: 413; the rest was read and dropped, so that the sender sees the answer.
            LeftError: the client left before it was all there.
        """
        message = await self._receive()
        if not message.get("more_body") and message["type"] == "http.request":
            first: bytes = message["body"]
            return self._checked(len(first), first)
        size, kept = 0, bytearray()
        while True:
            if message["type"] == "http.disconnect":
                raise LeftError
            size += len(message["body"])
            if size <= MAX_BODY_BYTES:
                kept += message["body"]
            if not message.get("more_body"):
                return self._checked(size, bytes(kept))
            message = await self._receive()

    async def start(self, status: int, kind: bytes, headers: Iterable[Header]) -> None:
        """Send the head of the answer."""
        self.started = True
        shown = [
            (b"content-type", kind),
            (b"request-id", self.id.encode()),
            (b"x-helios-simulated", b"true"),
            *headers,
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": shown})

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def answer(
        self, status: int, body: bytes, headers: Iterable[Header] = (), kind: bytes = JSON
    ) -> None:
        """Send the whole answer."""
        length = (b"content-length", str(len(body)).encode())
        await self.start(status, kind, (length, *headers))
        await self.write(body, more=False)

    async def left(self) -> None:
        """Wait until the client has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def drop(self) -> None:
        """End the connection once what was written is out, and wait until the server knows."""
        if self._line is not None:
            self._line.close()
        await self.left()

    def _checked(self, size: int, body: bytes) -> bytes:
        if size > MAX_BODY_BYTES:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            raise ApiError(status, "request_too_large", "Request exceeds the maximum size")
        return body


class LeftError(Exception):
    """The client left; nobody waits for this answer."""
