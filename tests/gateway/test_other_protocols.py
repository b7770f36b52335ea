"""An offer of another protocol is ignored: the request is served, and nothing of it is lost or read
twice.
"""

from collections.abc import Iterator
from time import sleep

import pytest

from tests.gateway.hostile import (
    BODY,
    Answer,
    Place,
    bare,
    chunked,
    listen_to,
    place,
    request,
    unharmed,
)

POST = b"POST /v1/messages HTTP/1.1"
OFFER = (
    b"connection: Upgrade, HTTP2-Settings",
    b"http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    b"upgrade: h2c",
)
"""What the HttpClient of Java sends over cleartext."""
OFFERED = request(POST, *OFFER)
PLAIN = request(POST)
SMUGGLED = request(b"GET /v1/models/smuggled HTTP/1.1", body=b"")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("offers") / "집") as found:
        yield found


def statuses(answer: Answer) -> list[int]:
    return [int(part[:3]) for part in answer.raw.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("times", [1, 3])
def test_it_is_served_and_the_connection_is_kept(here: Place, times: int) -> None:
    with unharmed(here, passes=times + 1):
        answer = here.say(OFFERED * times + PLAIN)
        assert statuses(answer) == [200] * (times + 1)
        assert not answer.closed
        assert here.upstream.bodies[-times - 1 :] == [BODY] * (times + 1)
        for head in here.upstream.heads[-times - 1 :]:
            assert b"h2c" not in head
            assert b"http2-settings" not in head.lower()


@pytest.mark.parametrize("step", [1, 7, 60])
def test_it_may_come_in_pieces(here: Place, step: int) -> None:
    raw = PLAIN + OFFERED + OFFERED
    with unharmed(here, passes=3), here.connect() as connection:
        for at in range(0, len(raw), step):
            connection.sendall(raw[at : at + step])
            sleep(0.0005)
        assert statuses(listen_to(connection)) == [200] * 3
        assert here.upstream.bodies[-3:] == [BODY] * 3


def test_its_body_is_no_request(here: Place) -> None:
    told = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    with unharmed(here, passes=1):
        assert statuses(here.say(chunked(told, *OFFER))) == [200]
        assert here.upstream.bodies[-1] == BODY
    with unharmed(here):
        answer = here.say(request(POST, *OFFER, body=SMUGGLED))
        assert statuses(answer) == [400]
        assert b"smuggled" not in here.upstream.heads[-1]


def test_an_offer_after_the_body_is_none(here: Place) -> None:
    fields = b"connection: upgrade\r\nupgrade: h2c\r\n"
    told = b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(BODY), BODY, fields)
    with unharmed(here, passes=3):
        late = chunked(told) + chunked(told, b"connection: upgrade")
        assert statuses(here.say(late + PLAIN)) == [200] * 3


SIZE = b"content-length: %d" % len(BODY)
BROKEN = {
    "two lengths": request(POST, *OFFER, SIZE),
    "length and chunks": request(POST, *OFFER, b"transfer-encoding: chunked"),
    "chunks and length": chunked(b"0\r\n\r\n", SIZE, *OFFER),
    "chunked and something": chunked(b"0\r\n\r\n", *OFFER).replace(b": chunked", b": chunked, x"),
    "a folded line": request(POST, *OFFER, b" c: d"),
    "a tunnel": bare(b"CONNECT /v1/messages HTTP/1.1", b"host: a", *OFFER),
    "another host": request(b"POST http://evil.example/v1/messages HTTP/1.1", *OFFER),
    "another version": request(b"POST /v1/messages HTTP/2.0", *OFFER),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("followed", [b"", PLAIN, OFFERED], ids=["alone", "plain", "offered"])
def test_it_opens_nothing_that_is_closed_otherwise(here: Place, name: str, followed: bytes) -> None:
    with unharmed(here):
        answer = here.say(BROKEN[name] + followed)
        assert (answer.status, answer.heads, answer.closed) == (400, 1, True)


def test_offers_are_bounded_as_all_is(here: Place) -> None:
    with unharmed(here):
        many = [b"upgrade: h%d" % number for number in range(300)]
        assert here.say(request(POST, b"connection: upgrade", *many)).status == 431


def test_others_may_offer_too(here: Place) -> None:
    with unharmed(here, passes=1):
        old = request(b"POST /v1/messages HTTP/1.0", b"Upgrade: a", b"UPGRADE: b", *OFFER)
        answer = here.say(old + OFFERED)
        assert (answer.status, answer.heads, answer.closed) == (200, 1, True)
        assert here.upstream.bodies[-1] == BODY
    with unharmed(here, passes=1):
        last = here.say(request(POST, b"connection: close", *OFFER) + SMUGGLED)
        assert (last.status, last.heads, last.closed) == (200, 1, True)
    heads = len(here.upstream.heads)
    got = here.say(request(b"GET /v1/models HTTP/1.1", *OFFER, body=b"") * 2)
    assert statuses(got) == [200, 200]
    assert len(here.upstream.heads) == heads + 2
