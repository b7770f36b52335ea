"""How an answer ends when the server does: so that its client knows, and asks again."""

from collections.abc import Awaitable
from dataclasses import replace

from starlette.types import Message, Send

from helios.domain.gateway.refusal import Refusal, only_once
from helios.server.gateway.answers import refuse

STOPPING = Refusal(
    503,
    "api_error",
    "Helios is stopping; ask again in a moment",
    ((b"retry-after", b"5"), (b"x-should-retry", b"true")),
)

PERHAPS_MADE = only_once(
    replace(
        STOPPING,
        message="Helios is stopping, and the batch may have been made; look for it before you "
        "ask again: GET /v1/messages/batches",
    )
)


class Told:
    """Sends an answer on, and knows how far it has come."""

    __slots__ = ("_head", "_last", "_send")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._head: Message | None = None
        self._last: Message | None = None

    def __call__(self, message: Message) -> Awaitable[None]:
        """Send the next message."""
        if self._head is None:
            self._head = message
        self._last = message
        return self._send(message)

    @property
    def begun(self) -> bool:
        """Whether the client has heard anything."""
        return self._head is not None

    async def break_off(self, request_id: str) -> bool:
        """Tell that no more will come; False where HTTP has no way left to say so."""
        if self._head is None or self._last is None:
            await refuse(self._send, STOPPING, request_id)
            return True
        if _is_complete(self._last):
            return True
        if not (_is_stream(self._head) and _is_between_events(self._last)):
            return False
        event = STOPPING.as_sse_error(request_id)
        await self._send({"type": "http.response.body", "body": event})
        return True


def _is_complete(last: Message) -> bool:
    return last["type"] == "http.response.body" and not last.get("more_body", False)


def _is_stream(head: Message) -> bool:
    return any(
        name == b"content-type" and value.lower().startswith(b"text/event-stream")
        for name, value in head["headers"]
    )


def _is_between_events(last: Message) -> bool:
    """Half an event cannot be taken back, and what follows would be read as its other half."""
    body: bytes = last.get("body", b"")
    return not body or body.endswith((b"\n\n", b"\r\n\r\n"))
