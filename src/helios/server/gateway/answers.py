"""Answers of the gateway's own, in the API's shape."""

import re
from collections.abc import Iterable

from starlette.types import Send

from helios.domain.gateway.refusal import Refusal
from helios.ports.upstream import Headers

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
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
    told = tuple(header for header in headers if header[0] != b"content-length")
    await start(send, status, (*told, (b"content-length", b"%d" % len(body))), request_id)
    await send({"type": "http.response.body", "body": body})


async def start(send: Send, status: int, headers: Headers, request_id: str) -> None:
    """Send the head of an answer, without headers that HTTP does not allow."""
    ours = (b"x-helios-request-id", request_id.encode())
    allowed = [(k, v) for k, v in headers if _NAME.fullmatch(k) and _VALUE.fullmatch(v)]
    shown = [*(header for header in allowed if header[0] != ours[0]), ours]
    if not any(name == b"request-id" for name, _ in shown):
        shown.append((b"request-id", request_id.encode()))
    known = status if 200 <= status <= 599 else 502
    await send({"type": "http.response.start", "status": known, "headers": shown})
