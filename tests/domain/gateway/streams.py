"""Streams of the Messages API, whole and broken."""

import json
import random
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from helios.domain.gateway.sse import Meter, Seen
from helios.domain.gateway.usage import Metered


def event(kind: str, **data: Any) -> bytes:
    text = json.dumps({"type": kind, **data}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}\n\n".encode()


def delta(index: int, kind: str, field: str, text: str) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, field: text})


def start(**usage: Any) -> bytes:
    told = {"input_tokens": 25, "output_tokens": 1, **usage}
    return event("message_start", message={"id": "msg_1", "model": "claude-x", "usage": told})


def block(index: int, kind: str, **more: Any) -> bytes:
    return event("content_block_start", index=index, content_block={"type": kind, **more})


EVENTS = (
    start(
        cache_creation_input_tokens=40,
        cache_read_input_tokens=7,
        cache_creation={"ephemeral_1h_input_tokens": 30, "ephemeral_5m_input_tokens": 10},
    ),
    event("ping"),
    block(0, "thinking", thinking=""),
    delta(0, "thinking_delta", "thinking", "생각 "),
    delta(0, "signature_delta", "signature", "c2ln"),
    event("content_block_stop", index=0),
    block(1, "text", text="그"),
    delta(1, "text_delta", "text", "래요 "),
    delta(1, "text_delta", "text", 'data: "}\n'),
    block(2, "tool_use", id="t", name="Read", input={}),
    delta(2, "input_json_delta", "partial_json", '{"path":'),
    delta(2, "input_json_delta", "partial_json", '"a"}'),
    event(
        "message_delta",
        delta={"stop_reason": "tool_use"},
        usage={"output_tokens": 57, "server_tool_use": {"web_search_requests": 2}},
    ),
    event("message_stop"),
)
STREAM = b"".join(EVENTS)
ERROR = event("error", error={"type": "overloaded_error", "message": "과부하"})


def metered(chunks: Iterable[bytes], **limits: int) -> tuple[Metered, tuple[Seen, ...], bool]:
    """All that a meter tells of a stream in these chunks."""
    meter = Meter(**limits)
    for chunk in chunks:
        meter.feed(chunk)
    return meter.close(), meter.seen(), meter.seen_truncated


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    """The stream in chunks that end at these places."""
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


def mutated(stream: bytes, seed: int) -> bytes:
    """The stream with up to six things done to it: dropped, doubled, spliced, flipped, inserted."""
    rng = random.Random(seed)
    out = bytearray(stream)
    for _ in range(rng.randint(1, 6)):
        a, b = sorted((rng.randrange(len(out) + 1), rng.randrange(len(out) + 1)))
        b = min(b, a + rng.choice((1, 20, 400)))
        piece = bytes(out[a:b])
        match rng.randrange(6):
            case 0:
                del out[a:b]
            case 1:
                out[b:b] = piece
            case 2:
                at = rng.randrange(len(out) + 1)
                out[at:at] = piece
            case 3 if out:
                out[a % len(out)] ^= 1 << rng.randrange(8)
            case 4:
                out[a:a] = rng.choice((b"\n", b"\r", b"\r\n", b"\n\n", b"\xff", b"-", b"9" * 30))
            case _:
                out[a:b] = piece.replace(b"\n", b"\r\n")
    return bytes(out)


PLACES = st.lists(st.integers(0, 10_000), max_size=30)
MUTATED = st.builds(
    mutated, st.sampled_from([STREAM, STREAM + ERROR, STREAM[:700]]), st.integers(0, 2**32)
)
LINES = st.sampled_from(
    [b"data: ", b"data:", b"event: x", b":c", b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b'{"type":']
)
ANY_STREAM = MUTATED | st.binary(max_size=300) | st.lists(LINES, max_size=20).map(b"".join)
