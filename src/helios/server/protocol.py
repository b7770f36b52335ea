"""HTTP/1.1 with bounds on what a stranger may cost: how long a head takes, and how large it is.

uvicorn's own protocol waits for ever for a head that never ends, and keeps all of it.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from helios.domain.gateway.refusal import Refusal, bad_request

HEAD_S = 20.0
"""A head must be there so many seconds after its first byte, or after the connection was made."""
MOST_HEAD_BYTES = 64 * 1024
TOO_SLOW = Refusal(408, "invalid_request_error", "the request's head did not come in time")
TOO_LARGE = Refusal(431, "invalid_request_error", "the request's head is larger than 64 kB")
_PHRASES = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class PatientProtocol(HttpToolsProtocol):
    """Patient, but not for ever."""

    _deadline: asyncio.TimerHandle | None = None
    _in_head = True
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connected; the head must follow."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._forget_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head has grown too large."""
        if self._in_head:
            if self._deadline is None:
                self._expect_head()
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MOST_HEAD_BYTES:
            self._end(TOO_LARGE)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head is there."""
        self._in_head = False
        self._head_bytes = 0
        self._forget_deadline()
        if sum(len(name) + len(value) for name, value in self.headers) > MOST_HEAD_BYTES:
            self._end(TOO_LARGE)
            return
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A body is there; what follows is a head."""
        super().on_message_complete()
        self._in_head = True

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self._end(bad_request(msg))

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_S, self._end, TOO_SLOW)

    def _forget_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _end(self, refusal: Refusal) -> None:
        """Say why, where no answer has begun, and hang up."""
        self._forget_deadline()
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            body = refusal.body("gw_none")
            head = b"HTTP/1.1 %d %s\r\n" % (refusal.status, _PHRASES[refusal.status])
            fields = (
                b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n"
            )
            self.transport.write(head + fields % len(body) + b"\r\n" + body)
        self.transport.close()
