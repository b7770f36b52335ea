"""A client that says anything, byte by byte, and what must hold after whatever it said."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from tests.gateway.clients.rig import Books, Rig, entry, gateway
from tests.gateway.recorder import MESSAGE, Recorder, plain, recorder

SECRET = b"clients-own-credential-7f3a"
MARK = "비밀-본문-문장"
BODY = json.dumps(
    {
        "model": "claude-haiku-5-5",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": MARK}],
    },
    ensure_ascii=False,
).encode()
PATIENCE_S = 20.0
QUIET_S = 0.04
COST = Books(4, 1)
"""What MESSAGE costs: 10 * 0.10 + 5 * 0.50, rounded up."""


def request(
    line: bytes = b"POST /v1/messages HTTP/1.1",
    *fields: bytes,
    body: bytes = BODY,
    host: bytes = b"127.0.0.1",
) -> bytes:
    """A request with a right length and credential; `fields` come after those."""
    told = [line, b"host: " + host, b"x-api-key: " + SECRET, b"content-length: %d" % len(body)]
    return b"\r\n".join([*told, *fields, b"", body])


def bare(*lines: bytes, body: bytes = b"") -> bytes:
    """A request of these lines alone."""
    return b"\r\n".join([*lines, b"", body])


def chunked(wire: bytes, *fields: bytes, line: bytes = b"POST /v1/messages HTTP/1.1") -> bytes:
    """A request whose body is already in chunks, or is meant to look like it."""
    told = [line, b"host: 127.0.0.1", b"x-api-key: " + SECRET, b"transfer-encoding: chunked"]
    return b"\r\n".join([*told, *fields, b"", wire])


@dataclass(frozen=True)
class Answer:
    """What came back before the connection was closed or fell silent."""

    raw: bytes
    closed: bool

    @property
    def status(self) -> int:
        """0 without an answer."""
        return int(self.raw.split(b" ", 2)[1]) if self.raw else 0

    @property
    def heads(self) -> int:
        """How many answers came."""
        return self.raw.count(b"HTTP/1.1 ")

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The headers of the first answer."""
        lines = self.raw.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
        pairs = [line.partition(b":") for line in lines]
        return [(name.strip().lower(), value.strip()) for name, _, value in pairs]

    @property
    def body(self) -> bytes:
        """All after the first head."""
        return self.raw.partition(b"\r\n\r\n")[2]

    def error(self) -> dict[str, Any]:
        """The error, in the shape of the API."""
        told = json.loads(self.body)
        assert told["type"] == "error", told
        assert told["request_id"]
        assert set(told) == {"type", "error", "request_id"}
        assert set(told["error"]) == {"type", "message"}
        assert told["error"]["message"]
        assert (b"content-type", b"application/json") in self.fields
        return dict(told["error"])


@dataclass
class Place:
    """A gateway before an upstream that keeps what it gets."""

    rig: Rig = field(repr=False)
    upstream: Recorder = field(repr=False)

    def connect(self) -> socket.socket:
        """A connection to the gateway."""
        port = int(self.rig.url.rpartition(":")[2])
        connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def say(self, data: bytes) -> Answer:
        """Send it at once; what came back."""
        with self.connect() as connection:
            with suppress(OSError):  # when it is refused before its end
                connection.sendall(data)
            return listen_to(connection)

    def is_well(self) -> None:
        """The next good request is answered, byte for byte."""
        answer = self.say(request(b"POST /v1/messages HTTP/1.1", b"connection: close"))
        assert answer.body == MESSAGE, answer

    def entries(self) -> int:
        """How many reservations were ever made."""
        return int(self.rig._rows("SELECT count(*) FROM ledger_entries")[0][0])

    def log(self) -> str:
        """All of Helios's log."""
        return "".join(file.read_text("utf-8") for file in (self.rig.home / "logs").iterdir())

    def keeps_secrets(self, *said: bytes) -> None:
        """No answer and no line of the log tells what is nobody's business."""
        for text in (*said, self.log().encode()):
            for private in (
                SECRET,
                MARK.encode(),
                b"Traceback",
                b'File "',
                str(self.rig.home).encode(),
            ):
                assert private not in text, text[:2000]


def listen_to(connection: socket.socket) -> Answer:
    """Read until the end, or until an answer came and nothing after it."""
    raw = b""
    deadline = perf_counter() + PATIENCE_S
    connection.settimeout(QUIET_S)
    while True:
        try:
            more = connection.recv(65536)
        except TimeoutError:
            if _whole(raw):
                return Answer(raw, closed=False)
            assert perf_counter() < deadline, f"neither answered nor closed: {raw[:500]!r}"
        except OSError:
            return Answer(raw, closed=True)
        else:
            if not more:
                return Answer(raw, closed=True)
            raw += more


def _whole(raw: bytes) -> bool:
    head, found, body = raw.partition(b"\r\n\r\n")
    if not found or b" 100 " in head[:16]:
        return bool(found) and _whole(body)
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return len(body) >= int(value) or b"HTTP/1.1 " in body
    return b"0\r\n\r\n" in body


@contextmanager
def place(home: Path, **settings: Any) -> Iterator[Place]:
    """Everything of one place until the block ends."""
    script = [entry("-", "simulated: -")]
    with (
        recorder(plain()) as upstream,
        gateway(home, script, simulator_url=upstream.url, **settings) as rig,
    ):
        yield Place(rig, upstream)


@contextmanager
def unharmed(place: Place, *, passes: int = 0) -> Iterator[list[bytes]]:
    """Only so many requests pass in the block; nothing else is sent, charged or left open.

    What is put on the list is searched for secrets.
    """
    said: list[bytes] = []
    heads, entries, books = len(place.upstream.heads), place.entries(), place.rig.settled()
    yield said
    after = place.rig.settled()
    assert len(place.upstream.heads) == heads + passes
    assert place.entries() == entries + passes
    assert after == Books(books.microusd + passes * COST.microusd, books.messages + passes)
    place.keeps_secrets(*said)
    place.is_well()


def wait_until(true: Any, why: str) -> None:
    """Give the other side a moment."""
    deadline = perf_counter() + PATIENCE_S
    while not true():
        assert perf_counter() < deadline, why
        sleep(0.01)
