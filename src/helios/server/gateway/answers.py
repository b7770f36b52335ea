"""Answers of the gateway's own, in the API's shape."""

from collections.abc import Iterable

from starlette.types import Send

from helios.domain.gateway.refusal import Refusal
from helios.ports.upstream import Headers

JSON: tuple[bytes, bytes] = (b"content-type", b"application/json")
EVENTS: tuple[bytes, bytes] = (b"content-type", b"text/event-stream; charset=utf-8")


async def refuse(send: Send, refusal: Refusal, request_id: str) -> None:
    """Answer with an error."""
    body = refusal.body(request_id)
    await answer(send, refusal.status, (JSON, *refusal.headers), body, request_id)


async def answer(
    send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes, request_id: str
) -> None:
    """Answer with a whole body."""
    await start(send, status, (*headers, (b"content-length", b"%d" % len(body))), request_id)
    await send({"type": "http.response.body", "body": body})


async def start(send: Send, status: int, headers: Headers, request_id: str) -> None:
    """Send the head of an answer."""
    shown = [*headers, (b"x-helios-request-id", request_id.encode())]
    if not any(name == b"request-id" for name, _ in headers):
        shown.append((b"request-id", request_id.encode()))
    await send({"type": "http.response.start", "status": status, "headers": shown})
