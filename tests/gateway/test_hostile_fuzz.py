"""Good requests with something broken in them: answered or left, and the books are right."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helios.server import protocol
from tests.gateway.hostile import (
    BODY,
    COST,
    SECRET,
    Books,
    Place,
    chunked,
    place,
    request,
    wait_until,
)

MESSAGES = b"POST /v1/messages HTTP/1.1"
GOOD = [
    request(MESSAGES),
    request(MESSAGES, b"x-helios-project: shop/web", b"x-helios-task: fix", b"x-helios-hold: 0"),
    request(MESSAGES, body=BODY[:-1] + b',"tools":[{"type":"bash_20250124","name":"bash"}]}'),
    chunked(
        b"%x\r\n%b\r\n%x;a=b\r\n%b\r\n0\r\nx-late: 1\r\n\r\n"
        % (10, BODY[:10], len(BODY) - 10, BODY[10:])
    ),
    request(b"POST /v1/messages/count_tokens HTTP/1.1"),
    request(b"GET /v1/models?limit=5 HTTP/1.1", body=b""),
    request(MESSAGES, b"expect: 100-continue", b"connection: close"),
    request(MESSAGES) + request(b"GET /v1/models/a HTTP/1.1", body=b""),
]
TOKENS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\x00",
    b"\xff",
    b" ",
    b"\t",
    b":",
    b",",
    b"0",
    b"-1",
    b"99999999999999999999",
    b"transfer-encoding: chunked\r\n",
    b"content-length: 0\r\n",
    b"content-length: 5\r\n",
    b"connection: close\r\n",
    b"upgrade: h2c\r\nconnection: upgrade\r\n",
    b"expect: 100-continue\r\n",
    b"x-helios-project: ..\r\n",
    b"x-helios-priority: 10\r\n",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"GET ",
    b"//",
    b"/../",
    b"%2e%2e",
    b"%00",
    b"?",
    b"#",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b"\\",
    b"\\ud800",
    b"null",
    b"true",
    b"1e999",
    b'"stream": true, ',
    b'"model": 1, ',
    "갠".encode(),
    b"0\r\n\r\n",
    b"ffffffff\r\n",
    b";a",
]

Edit = tuple[str, float, int, bytes]
edits = st.lists(
    st.tuples(
        st.sampled_from(["insert", "delete", "replace", "repeat", "flip"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(1, 40),
        st.one_of(st.sampled_from(TOKENS), st.binary(min_size=1, max_size=8)),
    ),
    min_size=1,
    max_size=4,
)


def edited(raw: bytes, changes: list[Edit]) -> bytes:
    for what, where, length, token in changes:
        at = int(where * len(raw))
        piece = raw[at : at + length]
        put = {
            "insert": token + piece,
            "delete": b"",
            "replace": token,
            "repeat": piece + piece,
            "flip": bytes(byte ^ 0x20 for byte in piece),
        }[what]
        raw = raw[:at] + put + raw[at + length :]
    return raw


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("hostile") / "집", gateway_hold="0") as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def hasty() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HEAD_S", "BODY_S", "LINGER_S"):
            patch.setattr(protocol, name, 0.2)
        yield


@settings(max_examples=150)
@given(good=st.sampled_from(GOOD), changes=edits)
def test_whatever_is_sent_is_answered_or_left(
    here: Place, good: bytes, changes: list[Edit]
) -> None:
    answer = here.say(edited(good, changes))  # fails when it is neither answered nor closed
    assert b"HTTP/1.1 500" not in answer.raw
    assert b"Traceback" not in answer.raw
    assert SECRET not in answer.raw
    wait_until(lambda: here.rig.settled() == told(here), "the books tell something else")
    assert here.rig.reported() == told(here)


def told(here: Place) -> Books:
    """What the upstream answered that costs something."""
    paths = (head.split(b" ")[1].partition(b"?")[0] for head in here.upstream.heads)
    messages = sum(path == b"/v1/messages" for path in paths)
    return Books(messages * COST.microusd, messages)
