"""HTTP/1.1 with bounds on what a stranger may cost: in time, in memory, in connections.

uvicorn's own protocol waits for ever for a request that never ends, for an answer that nobody
reads, and keeps every header and every pipelined request that comes. It also loses the body of a
request that offers another protocol, as Java's client does with each of its requests.
"""

import asyncio

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from helios.domain.gateway.refusal import Refusal, bad_request
from helios.server.capacity import most_connections

HEAD_S = 20.0
"""A head must be there so many seconds after its first byte, or after the connection was made."""
BODY_S = 300.0
"""How long a body may take to arrive: 32 MB at 1 Mbit/s."""
LINGER_S = 30.0
"""How long the rest of a body that was answered already is read, so that its sender can finish and
read the answer."""
STALLED_S = 300.0
"""How long nobody may read what is written."""
MOST_HEAD_BYTES = 64 * 1024
MOST_HEADERS = 256
MOST_PIPELINED = 64
HEAD_TOO_SLOW = Refusal(408, "invalid_request_error", "the request's head did not come in time")
BODY_TOO_SLOW = Refusal(408, "invalid_request_error", "the request's body did not come in time")
TOO_LARGE = Refusal(
    431, "invalid_request_error", "the request's head has more than 64 kB or 256 headers"
)
FULL = Refusal(503, "api_error", "too many connections are open; close some")
NO_PATH = bad_request("the request's target must be a path: this is no proxy")
NO_VERSION = bad_request("only versions 1.1 and 1.0 of HTTP are spoken here")
NO_TUNNEL = bad_request("there are no tunnels here: this is no proxy")
_PHRASES = {
    400: b"Bad Request",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}


class _Enough(Exception):
    """Stops the parser; whoever sent this was answered already."""


class PatientProtocol(HttpToolsProtocol):
    """Patient, but not for ever."""

    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _in_head = True
    _head_bytes = 0
    """Read for this head; after it, since a piece of its body came last."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connected; the head must follow."""
        super().connection_made(transport)
        self._expect(HEAD_S, HEAD_TOO_SLOW)
        if len(self.connections) > most_connections():
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._forget_deadline()
        self._is_read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head has grown too large."""
        if self._in_head and self._deadline is None:
            self._expect(HEAD_S, HEAD_TOO_SLOW)
        self._head_bytes += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if self._head_bytes > MOST_HEAD_BYTES:
            self._end(TOO_LARGE)

    def _parse(self, data: bytes) -> None:
        """Parse it; an offer of another protocol is ignored (RFC 9110, 7.8).

        The parser stops after a head with one. Another gets that head, as the first has read it
        and without the offer, and then what follows, which the first has not seen.
        """
        try:
            while data:
                try:
                    self.parser.feed_data(data)
                    data = b""
                except httptools.HttpParserUpgrade as stopped:
                    data = self._head_without_offer() + data[stopped.args[0] :]
                    self.parser = httptools.HttpRequestParser(self)
                    # As uvicorn's: what follows a last request must not keep it from its answer.
                    self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % field for field in self.headers if field[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; what follows the body is dropped, or it would pass for one (RFC 9110, 6.5)."""
        if self._in_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._head_bytes = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """A head is there; its body must follow."""
        self._in_head = False
        self._head_bytes = 0
        if (
            len(self.headers) > MOST_HEADERS
            or sum(len(name) + len(value) for name, value in self.headers) > MOST_HEAD_BYTES
        ):
            self._stop(TOO_LARGE)
        if not self.url.startswith(b"/"):
            self._stop(NO_PATH)
        if self.parser.get_http_version() not in ("1.0", "1.1"):
            self._stop(NO_VERSION)
        if self.parser.get_method() == b"CONNECT":
            self._stop(NO_TUNNEL)
        if self.parser.should_upgrade():  # the head comes again without that
            return
        super().on_headers_complete()
        if len(self.pipeline) > MOST_PIPELINED:
            self._stop(FULL)
        self._expect(BODY_S, BODY_TOO_SLOW)

    def on_message_complete(self) -> None:
        """A body is there; what follows is a head."""
        if self.parser.should_upgrade():
            return
        self._forget_deadline()
        super().on_message_complete()
        self._in_head = True
        self._head_bytes = 0

    def on_response_complete(self) -> None:
        """An answer is out; when it came before its request's end, that is waited for no longer."""
        super().on_response_complete()
        if not (self._in_head or self.transport.is_closing()):
            self._expect(LINGER_S, BODY_TOO_SLOW)

    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._is_read()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self._end(bad_request(msg))

    def _expect(self, within_s: float, otherwise: Refusal) -> None:
        self._forget_deadline()
        self._deadline = self.loop.call_later(within_s, self._end, otherwise)

    def _forget_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _is_read(self) -> None:
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None

    @property
    def idle(self) -> bool:
        """Whether nothing is under way that anybody would miss."""
        cycle: RequestResponseCycle | None = self.cycle
        answered = cycle is None or cycle.response_complete
        return self._in_head and answered and not self.transport.is_closing()

    def _make_room(self) -> None:
        """Hang up on somebody who only holds a connection, or else on the last to come."""
        for other in self.connections:
            if isinstance(other, PatientProtocol) and other is not self and other.idle:
                other.transport.abort()
                return
        self._end(FULL)

    def _stop(self, refusal: Refusal) -> None:
        self._end(refusal)
        raise _Enough

    def _end(self, refusal: Refusal) -> None:
        """Say why, where no answer to something else would be broken by it, and hang up."""
        self._forget_deadline()
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle
        ours = cycle is None or cycle.response_complete
        if cycle and not (self._in_head or cycle.response_started or self.pipeline):
            ours = True  # it is the body of the request that waits for its answer
        if ours:
            body = refusal.body("gw_none")
            head = b"HTTP/1.1 %d %s\r\n" % (refusal.status, _PHRASES[refusal.status])
            fields = (
                b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n"
            )
            self.transport.write(head + fields % len(body) + b"\r\n" + body)
        self.transport.close()
