"""Bodies that are no JSON, mean two things, or are too much; and upstreams that are no better."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest

from tests.gateway.hostile import BODY, SECRET, Place, bare, chunked, place, request, unharmed
from tests.gateway.recorder import MESSAGE, plain

BATCHES = b"POST /v1/messages/batches HTTP/1.1"
COUNT = b"POST /v1/messages/count_tokens HTTP/1.1"
DIGITS = b"1" + b"0" * 4000


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("hostile") / "집") as found:
        yield found


def with_field(name: bytes, value: bytes) -> bytes:
    return BODY[:-1] + b', "' + name + b'": ' + value + b"}"


NONSENSE = {
    "nothing": b"",
    "no object": b"[" + BODY + b"]",
    "half": BODY[:-1],
    "two": BODY + BODY,
    "a byte order mark": b"\xef\xbb\xbf" + BODY,
    "no UTF-8": with_field(b"x", b'"\xff\xfe"'),
    "UTF-16": BODY.decode().encode("utf-16"),
    "a surrogate in UTF-8": with_field(b"x", b'"\xed\xa0\x80"'),
    "half a surrogate pair": with_field(b"x", b'"\\ud800"'),
    "a raw NUL": with_field(b"x", b'"\x00"'),
    "NaN": with_field(b"x", b"NaN"),
    "infinity": with_field(b"x", b"-Infinity"),
    "the same key twice": with_field(b"model", b'"claude-opus-5-5"'),
    "the same key, escaped": with_field(b"mod\\u0065l", b'"claude-opus-5-5"'),
    "the same key twice, deep": with_field(b"x", b'[{"a":1,"a":2}]'),
    "nested 200,000 times": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "200,000 brackets, none closed": b"[" * 200_000,
    "a million brackets": with_field(b"x", b"[" + b"[]," * 1_000_001 + b"[]]"),
    "a number of 5,000 digits": with_field(b"x", b"1" + b"0" * 5000),
    "as many tokens": BODY.replace(b"64", DIGITS),
    "tokens as a fraction": BODY.replace(b"64", b"64.0"),
    "less than no tokens": BODY.replace(b"64", b"-64"),
    "true tokens": BODY.replace(b"64", b"true"),
    "a model with a line break": BODY.replace(b"haiku", b"\\r\\nx-a: b"),
    "a model that is a path": BODY.replace(b"claude-haiku-5-5", b"../../etc/passwd"),
    "a speed of 4,000 digits": with_field(b"speed", DIGITS),
    "messages that are none": with_field(b"x", b"1").replace(b'"messages"', b'"massages"'),
}


@pytest.mark.parametrize("name", NONSENSE)
@pytest.mark.parametrize("batch", [False, True], ids=["message", "batch"])
def test_nonsense(here: Place, name: str, batch: bool) -> None:
    body = NONSENSE[name]
    if batch:
        body = b'{"requests": [{"custom_id": "a", "params": ' + body + b"}]}"
    with unharmed(here) as said:
        answer = here.say(request(BATCHES if batch else request_line(), body=body))
        said.append(answer.raw)
        assert answer.status == 400
        assert answer.error()["type"] == "invalid_request_error"


def request_line() -> bytes:
    return b"POST /v1/messages HTTP/1.1"


HUGE = {
    "a tool used without end": with_field(
        b"tools", b'[{"type":"web_search_20250305","name":"w","max_uses":' + DIGITS + b"}]"
    ),
    "a fallback of endless length": with_field(
        b"fallbacks", b'[{"model":"claude-haiku-5-5","max_tokens":' + DIGITS + b"}]"
    ),
    "a thought without end": with_field(
        b"thinking", b'{"type":"enabled","budget_tokens":' + DIGITS + b"}"
    ),
}


@pytest.mark.parametrize("name", HUGE)
def test_no_number_is_too_large_to_be_bounded(here: Place, name: str) -> None:
    heads, books = len(here.upstream.heads), here.rig.settled()
    answer = here.say(request(body=HUGE[name]))
    passed = len(here.upstream.heads) - heads
    assert answer.status == (200 if passed else 400), answer
    assert here.rig.settled().messages == books.messages + passed
    here.is_well()


def test_a_batch_in_which_a_key_stands_twice(here: Place) -> None:
    """Who reads the first would run another batch than was reserved for."""
    one = b'[{"custom_id": "a", "params": ' + BODY + b"}]"
    dear = one.replace(b"haiku", b"opus")
    with unharmed(here):
        body = b'{"requests": ' + dear + b', "requests": ' + one + b"}"
        assert here.say(request(BATCHES, body=body)).status == 400


def test_a_user_id_may_be_anything(here: Place) -> None:
    user = '{"user_id": "a\\u0000b\\r\\n\\u001b[31m' + "가" * 2000 + '"}'
    with unharmed(here, passes=1):
        assert here.say(request(body=with_field(b"metadata", user.encode()))).status == 200
    rows = here.rig._rows("SELECT task FROM spends WHERE task LIKE 'a%'")
    assert len(rows) == 1
    assert rows[0][0].startswith("a b")
    assert rows[0][0].isprintable()
    assert len(rows[0][0]) <= 200


def test_a_body_that_says_it_is_too_large_is_not_read(here: Place) -> None:
    head = bare(
        request_line(), b"host: 127.0.0.1", b"expect: 100-continue", b"content-length: 33554433"
    )
    with unharmed(here):
        answer = here.say(head)
        assert answer.status == 413
        assert answer.error()["type"] == "request_too_large"
        assert answer.heads == 1  # nothing asked to continue


def test_a_body_without_end(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helios.server.protocol.LINGER_S", 0.2)
    piece = b"100000\r\n" + b"[" * 0x100000 + b"\r\n"
    sent = 0
    with unharmed(here), here.connect() as connection:
        connection.sendall(chunked(b""))
        with pytest.raises(OSError):  # noqa: PT012 - some of it is taken
            while sent < 4_000:
                connection.sendall(piece)
                sent += 1
    assert sent > 30


@pytest.mark.parametrize("size", [len(BODY) - 1, 1, 0])
def test_a_length_that_is_less_than_the_body(here: Place, size: int) -> None:
    fields = (b"host: 127.0.0.1", b"content-length: %d" % size)
    with unharmed(here) as said:
        answer = here.say(bare(request_line(), *fields, body=BODY))
        said.append(answer.raw)
        assert answer.closed
        assert answer.status in (0, 400)


@pytest.mark.parametrize(
    "part",
    [
        b'{"role":"user","content":"%b"},' % (b"x" * 400),
        b'{"role":"user","content":[{"type":"a","text":"b"}]},',
    ],
    ids=["text", "small blocks"],
)
def test_others_are_answered_while_a_large_body_is_read(here: Place, part: bytes) -> None:
    parts = min(20_500_000 // len(part), 330_000)
    body = BODY.replace(b'"messages": [', b'"messages": [' + part * parts)
    assert len(body) > 16_000_000
    waits: list[float] = []
    with unharmed(here, passes=1):
        done = threading.Event()

        def ask() -> None:
            assert here.say(request(body=body)).status == 200
            done.set()

        asking = threading.Thread(target=ask)
        asking.start()
        other = request(b"GET /v1/nothing HTTP/1.1", b"connection: close", body=b"")
        while not done.is_set():
            began = perf_counter()
            assert here.say(other).status == 404
            waits.append(perf_counter() - began)
        asking.join()
    assert here.upstream.bodies[-2] == body
    print(f"{len(waits)} others, the slowest in {max(waits):.3f} s")
    assert max(waits) < 5.0  # a second on a machine that does nothing else


ODD = (
    b"x-a: b\x01c",
    b"x-b: d\x7f",
    b"x-helios-request-id: forged",
    b"x-helios-model: forged",
    b"x-helios-advice: forged",
    b"connection: x-c",
    b"x-c: hop",
    b"x-ok: \xec\x95\x88",
)


@pytest.mark.parametrize(
    "line",
    [
        request_line(),
        COUNT,
        b"GET /v1/models HTTP/1.1",
        b"GET /v1/messages/batches/a HTTP/1.1",
    ],
)
def test_headers_that_an_upstream_may_not_send(here: Place, line: bytes) -> None:
    normal, here.upstream.answer = here.upstream.answer, plain(200, MESSAGE, *ODD)
    try:
        answer = here.say(request(line, body=b"" if line.startswith(b"GET") else BODY))
        assert answer.status == 200
        assert b"forged" not in answer.raw
        names = [name for name, _ in answer.fields]
        assert b"x-ok" in names
        assert not {b"x-a", b"x-b", b"x-c"} & set(names)
        assert names.count(b"content-length") == names.count(b"request-id") == 1
        assert answer.body == MESSAGE
        here.rig.settled()
    finally:
        here.upstream.answer = normal
    here.is_well()


NOT_HTTP = {
    "split": b"HTTP/1.1 200 OK\r\nx-a: b\rx-evil: 1\r\ncontent-length: 2\r\n\r\n{}",
    "smuggled": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}}",
    "no status": b"HTTP/1.1 9999 What\r\ncontent-length: 2\r\n\r\n{}",
    "a status of no kind": b"HTTP/1.1 799 What\r\ncontent-length: 2\r\n\r\n{}",
    "no HTTP": b"<html>" + b"x" * 100_000,
    "a bad chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 50_000,
}


@pytest.mark.parametrize("name", NOT_HTTP)
def test_an_upstream_that_speaks_no_http(tmp_path: Path, name: str) -> None:
    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(NOT_HTTP[name])
        connection.shutdown(socket.SHUT_RDWR)

    with place(tmp_path / "집") as there:
        normal, there.upstream.answer = there.upstream.answer, answer
        for line in (request_line(), COUNT):
            told = there.say(request(line))
            assert there.rig.settled().messages <= 1  # nothing stays open
            assert b"x-evil" not in dict(told.fields)
            there.keeps_secrets(told.raw)
            assert told.closed or told.status == 502, told
            assert told.status in (0, 200, 502)
        there.upstream.answer = normal
        there.is_well()


def test_refusals_do_not_fill_the_log(tmp_path: Path) -> None:
    # A server of its own: the log belongs to whoever was opened last in this process.
    with place(tmp_path / "집") as here:
        with unharmed(here):
            for number in range(60):
                line = b"GET /v1/nothing/%d?key=%b HTTP/1.1" % (number, SECRET)
                assert here.say(request(line, b"connection: close", body=b"")).status == 404
        refused = [line for line in here.log().splitlines() if '"event": "refused"' in line]
        assert 0 < len(refused) <= 30
        told = json.loads(refused[0])
        assert {"status", "because", "method", "path", "request"} <= set(told)
