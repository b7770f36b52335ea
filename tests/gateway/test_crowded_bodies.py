"""Large bodies of many clients at once, where there is room for few."""

import fcntl
import json
import select
import socket
import struct
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from time import perf_counter

import psutil
import pytest

from helios.server import capacity
from helios.server.gateway import allowance
from tests.gateway.hostile import (
    BODY,
    Answer,
    Place,
    bare,
    chunked,
    listen_to,
    place,
    request,
    wait_until,
)
from tests.gateway.recorder import plain

MOST = 1_000_000
LINE = b"POST /v1/messages HTTP/1.1"
COUNT = b"POST /v1/messages/count_tokens HTTP/1.1"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capacity, "MOST_BODY_MEMORY", MOST)
        with place(tmp_path_factory.mktemp("crowded") / "집") as found:
            yield found


def of(size: int) -> bytes:
    """A good body of so many bytes."""
    text = b"x" * (size - len(BODY) - len(b',"metadata": {"user_id": ""}'))
    return BODY[:-1] + b',"metadata": {"user_id": "' + text + b'"}}'


def in_chunks(body: bytes, size: int = 65536) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return chunked(b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces))


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "its length told": lambda body: request(LINE, b"connection: close", body=body),
    "in chunks": lambda body: in_chunks(body) + b"0\r\n\r\n",
}


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Callable[[bytes], bytes]:
    return FORMS[request.param]


def taken_as_a_whole(here: Place) -> None:
    """Nobody holds anything: a body goes through that leaves no room for another's byte."""
    assert here.say(request(LINE, b"connection: close", body=of(MOST))).status == 200


class Slow:
    """An upstream that lets its answers wait."""

    def __init__(self, here: Place) -> None:
        self._here = here
        self._normal = here.upstream.answer
        self.go = threading.Event()

    def __enter__(self) -> "Slow":
        self._here.upstream.answer = self._answer
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self._here.upstream.answer = self._normal

    def _answer(self, connection: socket.socket, body: bytes) -> None:
        if len(body) > allowance.UNCOUNTED_BYTES:
            assert self.go.wait(20)
        plain()(connection, body)


def test_who_finds_no_room_waits_unread_and_is_asked_to_come_again(
    here: Place, monkeypatch: pytest.MonkeyPatch, form: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(allowance, "WAIT_S", 0.3)
    before = len(here.upstream.heads)
    with Slow(here) as upstream, here.connect() as first:
        first.sendall(request(body=of(MOST)))
        wait_until(lambda: len(here.upstream.heads) > before, "the first is not forwarded")
        answer = here.say(form(of(600_000)))
        assert answer.status == 429
        assert answer.error()["type"] == "rate_limit_error"
        assert (b"retry-after", b"2") in answer.fields
        assert (b"x-should-retry", b"true") in answer.fields
        small = request(COUNT, b"connection: close", body=of(allowance.UNCOUNTED_BYTES))
        assert here.say(small).status == 200
        assert len(here.upstream.heads) == before + 2
        upstream.go.set()
        assert listen_to(first).status == 200
    taken_as_a_whole(here)
    here.rig.settled()


def test_who_finds_no_room_goes_when_there_is_some(
    here: Place, form: Callable[[bytes], bytes]
) -> None:
    before = len(here.upstream.heads)
    with Slow(here) as upstream, here.connect() as first, here.connect() as second:
        first.sendall(request(body=of(900_000)))
        wait_until(lambda: len(here.upstream.heads) > before, "the first is not forwarded")
        sending = threading.Thread(target=second.sendall, args=(form(of(600_000)),))
        sending.start()
        assert select.select([second], [], [], 0.3)[0] == []
        assert len(here.upstream.heads) == before + 1
        upstream.go.set()
        assert listen_to(second).status == 200
        sending.join()
    taken_as_a_whole(here)


def test_what_a_body_did_not_need_is_free_when_it_is_there(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "WAIT_S", 0.3)
    before = len(here.upstream.heads)
    with Slow(here), here.connect() as first, here.connect() as second:
        first.sendall(FORMS["in chunks"](of(300_000)))
        wait_until(lambda: len(here.upstream.heads) > before, "the first is not forwarded")
        second.sendall(request(body=of(650_000)))
        wait_until(lambda: len(here.upstream.heads) > before + 1, "nor the second")
    taken_as_a_whole(here)


def test_one_body_larger_than_all_there_is(here: Place, form: Callable[[bytes], bytes]) -> None:
    large = of(3 * MOST)
    assert here.say(form(large)).status == 200
    assert here.upstream.bodies[-1] == large
    taken_as_a_whole(here)


def sent(connections: list[socket.socket], data: bytes) -> int:
    """How many bytes are taken of as much for each, until nobody takes any more."""
    left = {connection: memoryview(data) for connection in connections}
    moved = perf_counter()
    while left and perf_counter() - moved < 0.5:
        for connection in select.select([], list(left), [], 0.1)[1]:
            with suppress(BlockingIOError):
                left[connection] = left[connection][connection.send(left[connection]) :]
                moved = perf_counter()
            if not left[connection]:
                del left[connection]
    return len(data) * len(connections) - sum(len(rest) for rest in left.values())


def on_their_way(connections: list[socket.socket]) -> int:
    """How many bytes the kernel keeps of what was sent to the server, which is in this process."""
    ports = {connection.getsockname()[1] for connection in connections}
    ends = [
        end.fd
        for end in psutil.Process().net_connections("tcp")
        if end.raddr and end.raddr.port in ports
    ]
    assert len(ends) == len(connections)
    unsent = [queued(connection.fileno(), termios.TIOCOUTQ) for connection in connections]
    return sum(unsent) + sum(queued(end, termios.FIONREAD) for end in ends)


def queued(descriptor: int, which: int) -> int:
    counted: int = struct.unpack("i", fcntl.ioctl(descriptor, which, bytes(4)))[0]
    return counted


@pytest.mark.parametrize("told", [True, False], ids=FORMS)
def test_no_more_is_read_than_there_is_room_for(here: Place, told: bool) -> None:
    body = of(8 * MOST)
    unended = request(body=body)[:-1] if told else in_chunks(body)
    with ExitStack() as open_ones:
        many = [open_ones.enter_context(here.connect()) for _ in range(10)]
        for connection in many:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            connection.settimeout(0)
        read = sent(many, unended) - on_their_way(many)
    # The allowance, the one body that may go beyond it, and of each what is not counted and what
    # the server's protocol keeps before it stops reading.
    assert read < MOST + len(unended) + len(many) * 3 * allowance.UNCOUNTED_BYTES
    taken_as_a_whole(here)


ENDS = {
    "refused": request(LINE, b"connection: close", body=b"[" + of(700_000) + b"]"),
    "not known": request(
        b"POST /v1/messages/batches HTTP/1.1", b"connection: close", body=of(700_000)
    ),
    "too large in the end": in_chunks(b"[" * 33_600_000, size=0x100000),
    "no chunk": in_chunks(of(700_000)) + b"zz\r\n",
}


@pytest.mark.parametrize("name", ENDS)
def test_what_is_refused_gives_its_share_back(here: Place, name: str) -> None:
    assert here.say(ENDS[name]).status in (400, 413)
    taken_as_a_whole(here)


@pytest.mark.parametrize("form", FORMS, indirect=True)
def test_who_hangs_up_gives_its_share_back(here: Place, form: Callable[[bytes], bytes]) -> None:
    with here.connect() as connection:
        connection.sendall(form(of(900_000))[:-300_000])
    taken_as_a_whole(here)


def test_a_body_counts_until_nothing_needs_it(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client has gone, but what it will be billed is still waited for, body in hand."""
    before = len(here.upstream.heads)
    with Slow(here) as upstream:
        with here.connect() as connection:
            connection.sendall(request(body=of(900_000)))
            wait_until(lambda: len(here.upstream.heads) > before, "it is not forwarded")
        gone = request(LINE, b"connection: close", body=of(600_000))
        monkeypatch.setattr(allowance, "WAIT_S", 0.5)
        assert here.say(gone).status == 429
        monkeypatch.undo()
        upstream.go.set()
        taken_as_a_whole(here)
    here.rig.settled()


def test_a_refusal_is_a_single_answer(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends before asking may go on with the same connection."""
    monkeypatch.setattr(allowance, "WAIT_S", 0.1)
    before = len(here.upstream.heads)
    with Slow(here), here.connect() as first, here.connect() as second:
        first.sendall(request(body=of(900_000)))
        wait_until(lambda: len(here.upstream.heads) > before, "the first is not forwarded")
        second.sendall(request(body=of(600_000)))
        refused = listen_to(second)
        assert (refused.status, refused.heads, refused.closed) == (429, 1, False)
        second.sendall(request())
        passed: Answer = listen_to(second)
        assert (passed.status, json.loads(passed.body)["type"]) == (200, "message")


def test_nobody_who_waits_is_told_to_continue(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "WAIT_S", 0.1)
    before = len(here.upstream.heads)
    fields = (b"host: 127.0.0.1", b"expect: 100-continue", b"content-length: 600000")
    with Slow(here), here.connect() as first:
        first.sendall(request(body=of(900_000)))
        wait_until(lambda: len(here.upstream.heads) > before, "the first is not forwarded")
        answer = here.say(bare(LINE, *fields))
        assert (answer.status, answer.heads) == (429, 1)
