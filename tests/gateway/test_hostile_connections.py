"""Clients that take their time, hold what they have, and never come to an end."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from time import perf_counter, sleep

import pytest

from helios.server import capacity, protocol
from tests.gateway.hostile import (
    BODY,
    Answer,
    Place,
    chunked,
    listen_to,
    place,
    request,
    unharmed,
    wait_until,
)

HEAD, _, _ = request().partition(b"\r\n\r\n")
SHORT_S = 0.3


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("hostile") / "집") as found:
        yield found


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_S", "BODY_S", "LINGER_S", "STALLED_S"):
        monkeypatch.setattr(protocol, name, SHORT_S)


def drip(connection: socket.socket, data: bytes) -> Answer:
    """Send it a byte at a time, until somebody has enough."""
    with suppress(OSError):
        for at in range(len(data)):
            connection.sendall(data[at : at + 1])
            sleep(0.01)
    return listen_to(connection)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("first", "slowly", "statuses"),
    [
        (b"", b"", {408}),
        (b"", HEAD, {408}),
        (b"\r\n", b"\r\n" * 100, {408}),
        (HEAD, b"\r\nx-a: b" * 20, {408}),
        (HEAD + b"\r\n\r\n", b"", {408}),
        (HEAD + b"\r\n\r\n", BODY[:-1], {408}),
        (chunked(b""), b"", {408}),
        (chunked(b""), b"1\r\n{\r\n" * 20, {408}),
        (chunked(b"1;"), b"a" * 100, {408}),
        (chunked(b"2\r\n{}\r\n0\r\n"), b"x-a: b\r\n" * 20, {408}),
        (request(b"POST /v1/nothing HTTP/1.1")[:-90], b"a" * 80, {404}),
        (request(b"POST /v1/nothing HTTP/1.1"), HEAD, {404}),
        (request(b"POST /api/v1/helios/budget/request HTTP/1.1")[:-90], b" " * 80, {408}),
    ],
)
def test_who_takes_too_long_is_left(
    here: Place, first: bytes, slowly: bytes, statuses: set[int]
) -> None:
    with unharmed(here) as said, here.connect() as connection:
        began = perf_counter()
        connection.sendall(first)
        answer = drip(connection, slowly)
        said.append(answer.raw)
        if not answer.closed:
            answer = Answer(answer.raw + listen_to_the_end(connection), closed=True)
        assert perf_counter() - began < 10
        assert answer.status in statuses
        assert answer.error()["message"] if answer.heads == 1 else True


def test_a_body_may_take_longer_than_a_head(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.2)
    with unharmed(here, passes=1), here.connect() as connection:
        connection.sendall(HEAD + b"\r\n\r\n" + BODY[:5])
        sleep(0.5)
        connection.sendall(BODY[5:])
        assert listen_to(connection).status == 200


def listen_to_the_end(connection: socket.socket) -> bytes:
    connection.settimeout(10)
    raw = b""
    with suppress(ConnectionError):
        while more := connection.recv(65536):
            raw += more
    return raw


FLOODS = {
    "a header that never ends": (HEAD + b"\r\nx-a: ", b"a" * 65536),
    "headers that never end": (HEAD, b"\r\nx-a: b" * 8192),
    "headers without a line's end": (HEAD + b"\r\n", b"a" * 65536),
    "a path that never ends": (b"POST /v1/", b"a" * 65536),
    "a method that never ends": (b"", b"P" * 65536),
    "empty lines": (b"", b"\r\n" * 32768),
    "trailers": (chunked(b"2\r\n{}\r\n0\r\n"), b"x-a: b\r\n" * 8192),
    "a trailer": (chunked(b"2\r\n{}\r\n0\r\nx-a: "), b"a" * 65536),
    "pipelined requests": (
        request(),
        b"GET /v1/nothing HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 1400,
    ),
    "a body after an answer": (
        HEAD.replace(b"/v1/messages", b"/v1/nothing") + b"0" * 9 + b"\r\n\r\n",
        b"{" * 65536,
    ),
}


@pytest.mark.parametrize("name", FLOODS)
def test_what_never_ends_is_ended(here: Place, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for patience in ("LINGER_S", "STALLED_S"):
        monkeypatch.setattr(protocol, patience, SHORT_S)
    first, again = FLOODS[name]
    before = here.rig.settled(), resident()
    ended = False
    with here.connect() as connection:
        connection.sendall(first)
        began = perf_counter()
        while perf_counter() - began < 15 and not ended:
            try:
                connection.sendall(again)
            except OSError:
                ended = True
    assert ended
    wait_until(lambda: not busy(here), "it goes on")
    assert here.rig.settled().messages - before[0].messages <= 1  # of the first pipelined one
    assert resident() - before[1] < 64_000_000
    here.keeps_secrets()
    here.is_well()


def resident() -> int:
    """The most memory this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def busy(here: Place) -> bool:
    return bool(here.rig._rows("SELECT 1 FROM ledger_entries WHERE state IN ('held', 'sent')"))


@pytest.mark.parametrize(
    "fields",
    [[b"x-a: " + b"a" * 70_000], [b"x-%d: b" % number for number in range(300)], [b"a:"] * 5000],
)
def test_heads_that_are_too_large(here: Place, fields: list[bytes]) -> None:
    with unharmed(here) as said:
        answer = here.say(request(b"POST /v1/messages HTTP/1.1", *fields) + request())
        said.append(answer.raw)
        assert (answer.closed, answer.heads) == (True, 1)
        assert answer.status == 431
        assert "64 kB" in answer.error()["message"]


def test_a_reader_that_stops_is_left(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STALLED_S", SHORT_S)
    event = b'event: ping\ndata: {"type":"ping"}\n\n' * 2000

    def stream(connection: socket.socket, _: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        connection.sendall(head)
        while True:  # until the gateway hangs up
            connection.sendall(event)

    normal, here.upstream.answer = here.upstream.answer, stream
    while not here.upstream.gone.empty():
        here.upstream.gone.get()
    try:
        with here.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(request())
            here.upstream.gone.get(timeout=30)
            here.rig.settled()
    finally:
        here.upstream.answer = normal
    here.is_well()


def test_idle_connections_starve_nobody(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "MOST_CONNECTIONS", 300)
    with unharmed(here), ExitStack() as open_ones:
        idle = [open_ones.enter_context(here.connect()) for _ in range(1000)]
        for connection in idle[::2]:
            with suppress(OSError):
                connection.sendall(HEAD)
        for _ in range(20):
            answer = here.say(request(b"GET /v1/nothing HTTP/1.1", b"connection: close", body=b""))
            assert answer.status == 404
        left = 0
        for connection in idle:
            connection.setblocking(0)
            try:
                connection.recv(1)
            except BlockingIOError:
                left += 1
            except OSError:
                pass
        assert 100 < left <= 300


def test_nobody_at_work_is_sent_away(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "FEWEST", 3)
    monkeypatch.setattr(capacity, "MOST_CONNECTIONS", 3)
    with ExitStack() as open_ones:
        working = [open_ones.enter_context(here.connect()) for _ in range(3)]
        for connection in working:
            connection.sendall(HEAD + b"\r\n\r\n" + BODY[:5])
        sleep(0.2)
        answer = here.say(request())
        assert (answer.status, answer.closed) == (503, True)
        assert answer.error()["type"] == "api_error"
        for connection in working:
            connection.sendall(BODY[5:])
            assert listen_to(connection).status == 200
    here.rig.settled()


def test_as_many_files_as_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"now": (1024, 20_000)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.update(now=pair))
    assert capacity.most_connections() == 412
    capacity.allow_many_files()
    assert limits["now"] == (20_000, 20_000)
    assert capacity.most_connections() == capacity.MOST_CONNECTIONS
    limits["now"] = (1024, resource.RLIM_INFINITY)
    capacity.allow_many_files()
    assert limits["now"] == (capacity.MOST_FILES, resource.RLIM_INFINITY)
    limits["now"] = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    capacity.allow_many_files()
    assert capacity.most_connections() == capacity.MOST_CONNECTIONS
    limits["now"] = (64, 64)
    assert capacity.most_connections() == capacity.FEWEST
