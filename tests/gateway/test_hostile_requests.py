"""Requests that are broken, forged or meant to be read in two ways: said no to, and forgotten."""

from collections.abc import Iterator

import pytest

from tests.gateway.hostile import BODY, SECRET, Place, bare, chunked, place, request, unharmed

POST = b"POST /v1/messages HTTP/1.1"
KEY = b"x-api-key: " + SECRET
HOST = b"host: 127.0.0.1"
SIZE = b"content-length: %d" % len(BODY)
SECOND = request(POST)
EVIL = b"evil.example"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("hostile") / "집") as found:
        yield found


BROKEN = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/3.7": request(b"POST /v1/messages HTTP/3.7"),
    "no version": request(b"POST /v1/messages"),
    "no such method": request(b"PWN /v1/messages HTTP/1.1"),
    "a path that is no UTF-8": request(b"POST /v1/\xff\xfe HTTP/1.1"),
    "a raw NUL in the path": request(b"POST /v1/mess\x00ages HTTP/1.1"),
    "a NUL in a value": request(POST, b"x-a: b\x00c"),
    "a control character in a name": request(POST, b"x-\x01: b"),
    "a CR in a value": request(POST, b"x-a: b\rx-helios-project: stolen"),
    "no name": request(POST, b": b"),
    "space before the colon": request(POST, b"x-a : b"),
    "space before the length's colon": bare(POST, HOST, KEY, SIZE.replace(b":", b" :"), body=BODY),
    "a folded line": request(POST, b"x-a: b", b" c: d"),
    "a folded first line": bare(POST, b" x: y", HOST, SIZE, body=BODY),
    "length and chunks": request(POST, b"transfer-encoding: chunked") + b"0\r\n\r\n",
    "chunks and length": chunked(b"0\r\n\r\n", SIZE),
    "two lengths": request(POST, SIZE),
    "two lengths that differ": request(POST, b"content-length: 5"),
    "a list of lengths": bare(POST, HOST, KEY, SIZE + b", %d" % len(BODY), body=BODY),
    "a negative length": bare(POST, HOST, KEY, b"content-length: -1", body=BODY),
    "a signed length": bare(POST, HOST, KEY, b"content-length: +5", body=BODY),
    "a length in hex": bare(POST, HOST, KEY, b"content-length: 0x10", body=BODY),
    "a length above 64 bits": bare(POST, HOST, KEY, b"content-length: " + b"9" * 5000, body=BODY),
    "chunked and something": chunked(b"0\r\n\r\n").replace(b": chunked", b": chunked, x"),
    "something like chunked": chunked(b"0\r\n\r\n").replace(b": chunked", b": xchunked"),
    "chunked twice": chunked(b"0\r\n\r\n", b"transfer-encoding: identity"),
    "a chunk size that is none": chunked(b"zz\r\n{}\r\n0\r\n\r\n"),
    "a negative chunk": chunked(b"-2\r\n{}\r\n0\r\n\r\n"),
    "a chunk size above 64 bits": chunked(b"f" * 40 + b"\r\n{}\r\n0\r\n\r\n"),
    "no CRLF after a chunk": chunked(b"2\r\n{}0\r\n\r\n"),
    "a chunk longer than said": chunked(b"2\r\n{}{}\r\n0\r\n\r\n"),
    "a bare LF in the chunks": chunked(b"2\n{}\n0\n\n"),
    "a proxy is asked": request(b"POST http://evil.example/v1/messages HTTP/1.1"),
    "a proxy is asked with TLS": request(b"GET https://evil.example/v1/models HTTP/1.1"),
    "a user before the host": request(b"POST http://127.0.0.1@evil.example/v1/messages HTTP/1.1"),
    "a tunnel": bare(b"CONNECT evil.example:443 HTTP/1.1", b"host: evil.example:443"),
    "a tunnel to a path": bare(b"CONNECT /v1/messages HTTP/1.1", HOST),
    "everything": request(b"OPTIONS * HTTP/1.1"),
    "no slash": request(b"POST v1/messages HTTP/1.1"),
}
"""Where HTTP itself is broken, the answer is 400 and the connection ends."""


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("followed", [False, True], ids=["alone", "with another in its wake"])
def test_broken_http(here: Place, name: str, followed: bool) -> None:
    with unharmed(here) as said:
        answer = here.say(BROKEN[name] + (SECOND if followed else b""))
        said.append(answer.raw)
        assert answer.closed
        assert answer.heads <= 1
        if answer.raw:
            assert answer.status == 400
            assert answer.error()["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("POST //evil.example/v1/messages", 404),
        ("POST /v1/messages/../../x", 404),
        ("POST /v1/messages/..", 404),
        ("POST /v1/messages/%2e%2e/x", 404),
        ("POST /v1/messages%00", 404),
        ("POST /v1/messages%0d%0ax-a:%20b", 404),
        ("POST /v1/messages;@evil.example", 404),
        ("POST /v1/messages@evil.example", 404),
        (r"POST /v1/messages\..\x", 404),
        ("POST /v1/%ff%fe", 404),
        ("POST /v1/../v1/messages", 404),
        ("GET /v1/models/..%2f", 400),
        ("GET /v1/models/%2e%2e/files", 400),
        ("GET /v1/models/%252e%252e/files", 400),
        ("GET /v1/models/%25252e%25252e%25252f/files", 400),
        (r"GET /v1/models/..\..\files", 400),
        ("GET /v1/models/a%0d%0ax-api-key:%20b", 400),
        ("GET /v1/models/a%00b", 400),
        ("GET /v1/models@evil.example", 404),
        ("GET /v1/models.evil.example/x", 404),
        ("GET /v1/modelsX", 404),
        ("GET /v1/messages/batchesX", 404),
        ("GET /v1/messages/batches/../../files", 404),
        ("GET /v1/messages/batches/a%2f..%2f..%2ffiles", 404),
        ("DELETE /v1/messages/batches/..", 404),
        ("POST /v1/messages%2fcount_tokens", 404),
        ("POST /v1/messages/count%5Ftokens", 404),
        ("POST /v1/%6dessages?beta=true", 404),
        ("POST /%761/messages", 404),
        ("POST /v1/messages%2Fbatches", 404),
        ("POST /v1/messages/", 404),
        ("POST /v1//messages", 404),
        ("POST /v1/./messages", 404),
        ("POST /v1/messages/batches/", 404),
        ("GET /v1/messages/batches/", 404),
        ("GET /v1/messages/batches//a", 404),
        ("GET /v1/messages/batches/./a", 404),
        ("GET /v1/messages/batches/%61", 404),
        ("GET /v1/messages/batches/a/results/", 404),
        ("PUT /v1/messages", 405),
        ("PATCH /v1/messages", 405),
        ("DELETE /v1/messages", 405),
        ("GET /v1/messages", 405),
        ("TRACE /v1/messages", 405),
        ("OPTIONS /v1/messages", 405),
        ("POST /v1/models", 405),
        ("HEAD /v1/messages", 405),
        ("HEAD /v1/models", 405),
    ],
)
def test_no_way_around_the_paths(here: Place, line: str, status: int) -> None:
    with unharmed(here) as said:
        answer = here.say(request(line.encode() + b" HTTP/1.1", b"connection: close"))
        said.append(answer.raw)
        assert answer.status == status
        if line.startswith("HEAD"):
            assert not answer.body
        elif " //" not in line:  # which is a path of the other API
            assert answer.error()["type"] in ("not_found_error", "invalid_request_error")


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("/v1/messages/batches/a?b=%2e%2e/c", "/v1/messages/batches/a?b=%2e%2e/c"),
        ("/v1/models/a%2Fb%20c?limit=5", "/v1/models/a%2Fb%20c?limit=5"),
        ("/v1/models/a%EA%B0%80", "/v1/models/a%EA%B0%80"),
        ("/v1/models/a?b=http://evil.example/&c=..", "/v1/models/a?b=http://evil.example/&c=.."),
        ("/v1/models/a#x/../..", "/v1/models/a"),
        ("/v1/models/http:%2f%2fevil.example", "/v1/models/http:%2f%2fevil.example"),
    ],
)
def test_odd_names_stay_names(here: Place, asked: str, sent: str) -> None:
    before = len(here.upstream.heads)
    answer = here.say(request(b"GET %s HTTP/1.1" % asked.encode(), body=b""))
    assert answer.status == 200
    assert len(here.upstream.heads) == before + 1
    assert here.upstream.heads[-1].startswith(b"GET %s HTTP/1.1\r\n" % sent.encode())
    assert here.upstream.header(b"host") == [here.upstream.url.removeprefix("http://").encode()]
    assert not here.rig._rows("SELECT 1 FROM ledger_entries WHERE state IN ('held', 'sent')")


FOREIGN = [
    b"origin: https://evil.example",
    b"origin: null",
    b"origin: http://localhost.evil.example",
    b"origin: http://127.0.0.1.evil.example:8002",
    b"origin: http://127.0.0.1@evil.example",
    b"sec-fetch-site: cross-site",
]


@pytest.mark.parametrize("field", FOREIGN)
def test_a_page_on_the_web_gets_nothing(here: Place, field: bytes) -> None:
    with unharmed(here) as said:
        answer = here.say(request(POST, field, b"content-type: text/plain"))
        said.append(answer.raw)
        assert (answer.status, answer.error()["type"]) == (403, "permission_error")
        assert not [name for name, _ in answer.fields if name.startswith(b"access-control")]


@pytest.mark.parametrize(
    "host", [EVIL, b"", b"127.0.0.1.evil.example", b"127.0.0.1@evil.example:1"]
)
def test_a_name_that_points_here_gets_nothing(here: Place, host: bytes) -> None:
    with unharmed(here) as said:
        answer = here.say(request(POST, host=host))
        said.append(answer.raw)
        assert answer.status == 421
        assert b"wrong-host" in answer.body


PASS = {
    "unknown fields": request(POST, body=BODY[:-1] + '," 새":{"a":[null,1e3]}}'.encode()),
    "odd but right chunks": chunked(b"%X;a=b;c\r\n%b\r\n000\r\n\r\n" % (len(BODY), BODY)),
    "a trailer": chunked(b"%x\r\n%b\r\n0\r\nx-a: b\r\n\r\n" % (len(BODY), BODY)),
    "HTTP/1.0": request(b"POST /v1/messages HTTP/1.0"),
    "bytes that are no UTF-8 in a header": request(POST, b"x-helios-task: \xff\xfe\xa0"),
    "a name that ends like a space": request(POST, "x-helios-project: 갠".encode()),
}


@pytest.mark.parametrize("name", PASS)
def test_odd_but_right(here: Place, name: str) -> None:
    with unharmed(here, passes=1):
        assert here.say(PASS[name]).status == 200


def test_what_a_client_forges_does_not_arrive(here: Place) -> None:
    forged = [
        b"x-helios-request-id: forged",
        b"x-helios-model: forged",
        b"authorization: Bearer forged",
        b"cookie: forged=1",
        b"proxy-authorization: forged",
        b"connection: x-api-key, host",
        b"te: forged",
        b"referer: http://localhost/forged",
        b"expect: forged",
    ]
    with unharmed(here, passes=1):
        answer = here.say(request(POST, *forged))
        assert answer.status == 200
        assert b"forged" not in answer.raw
        assert b"forged" not in here.upstream.heads[-1]
        assert SECRET not in here.upstream.heads[-1]
        assert here.upstream.header(b"x-api-key") == [b"simulated"]


def test_a_trailer_is_no_header(here: Place) -> None:
    late = b"x-helios-project: ../late\r\norigin: https://evil.example\r\nx-late: 1\r\n"
    with unharmed(here, passes=1):
        wire = b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(BODY), BODY, late)
        assert here.say(chunked(wire)).status == 200
        assert not here.upstream.header(b"x-late")


def test_pipelined_requests_are_answered_in_their_order(here: Place) -> None:
    with unharmed(here, passes=2):
        wrong = request(b"POST /v1/nothing HTTP/1.1")
        last = request(POST, b"connection: close")
        answer = here.say(SECOND + wrong + last + SECOND)
        assert [int(part[:3]) for part in answer.raw.split(b"HTTP/1.1 ")[1:]] == [200, 404, 200]


def test_a_web_socket_is_not_opened(here: Place) -> None:
    with unharmed(here):
        fields = (b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-version: 13")
        answer = here.say(request(b"GET /v1/messages HTTP/1.1", *fields, body=b""))
        assert (answer.status, answer.heads) == (405, 1)


def test_expect_is_answered_before_the_body(here: Place) -> None:
    head, _, body = request(POST, b"expect: 100-continue").partition(b"\r\n\r\n")
    with unharmed(here, passes=1), here.connect() as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(17) == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "field",
    [
        b"x-helios-priority: 0015",
        b"x-helios-priority: 001" + b"0" * 5000,
        b"x-helios-priority: 0",
        b"x-helios-hold: 1e9",
        b"x-helios-hold: nan",
        b"x-helios-project: ..",
        b"x-helios-project: a//b",
    ],
)
def test_our_own_headers_are_checked(here: Place, field: bytes) -> None:
    with unharmed(here) as said:
        answer = here.say(request(POST, field))
        said.append(answer.raw)
        assert answer.status == 400
        assert field.partition(b":")[0].decode() in answer.error()["message"]
