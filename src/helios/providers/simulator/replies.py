"""What an answer looks like on the wire: an answer on its way out, and the Messages API's form."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from helios.domain.usage import Usage
from helios.providers.simulator.content import Answer, Block, deltas

_CACHED_CHARACTERS = 20_000
# Made once: `json.dumps` with options makes one every time.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Frame(NamedTuple):
    """Whole events of a stream that belong together, and the output tokens billed with them."""

    data: bytes
    tokens: int


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer on its way out; without usage when a fault takes it away."""

    id: str
    model: str
    answer: Answer
    usage: Usage
    created: int = 0
    shows_usage: bool = True

    def call_id(self, index: int) -> str:
        """The id of the tool call in this block."""
        return f"toolu_sim_{self.id.removeprefix('msg_sim_')}{index}"


def message(reply: Reply) -> dict[str, Any]:
    """The answer in one piece."""
    content = [_block(reply, index, block) for index, block in enumerate(reply.answer.blocks)]
    return _message(reply, content, reply.answer.stop_reason, reply.usage.output_tokens)


def frames(reply: Reply) -> Iterator[Frame]:
    """The answer as a stream, in the API's order of events.

    The first frame begins it and is billed one token, which every output has at least; each other
    one carries one delta; the last one ends it.
    """
    start = {"message": _message(reply, [], None, 1)}
    yield Frame(event_bytes("message_start", start) + event_bytes("ping", {}), 0)
    stop = b""
    for index, block in enumerate(reply.answer.blocks):
        begun = {"index": index, "content_block": _block_start(reply, index, block)}
        head = Frame(stop + event_bytes("content_block_start", begun), block.head_tokens)
        for delta in _delta_frames(block, index):
            yield Frame(head.data + delta.data, head.tokens + delta.tokens) if head.data else delta
            head = Frame(b"", 0)
        stop = head.data + _block_stop(index, block)
    ending: dict[str, Any] = {
        "delta": {"stop_reason": reply.answer.stop_reason, "stop_sequence": None}
    }
    if reply.shows_usage:
        ending["usage"] = _usage(reply.usage, reply.usage.output_tokens)
    yield Frame(stop + event_bytes("message_delta", ending) + event_bytes("message_stop", {}), 0)


def to_json(value: Mapping[str, Any]) -> bytes:
    """A value as the API sends it."""
    return _encode(value).encode()


def event_bytes(kind: str, data: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return f"event: {kind}\ndata: ".encode() + to_json({"type": kind, **data}) + b"\n\n"


def _message(
    reply: Reply, content: Sequence[Mapping[str, Any]], stop_reason: str | None, output: int
) -> dict[str, Any]:
    said: dict[str, Any] = {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
    }
    return {**said, "usage": _usage(reply.usage, output)} if reply.shows_usage else said


def _usage(usage: Usage, output_tokens: int) -> dict[str, Any]:
    hour = usage.cache_write_1h_tokens
    return {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens - hour,
            "ephemeral_1h_input_tokens": hour,
        },
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _block(reply: Reply, index: int, block: Block) -> dict[str, Any]:
    match block.kind:
        case "text":
            return {"type": "text", "text": block.text}
        case "thinking":
            return {"type": "thinking", "thinking": block.text, "signature": block.signature}
        case "tool_use":
            called = {"type": "tool_use", "id": reply.call_id(index), "name": block.name}
            return {**called, "input": block.input}


def _block_start(reply: Reply, index: int, block: Block) -> dict[str, Any]:
    empty: dict[str, dict[str, Any]] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    return {**_block(reply, index, block), **empty[block.kind]}


def _delta_frames(block: Block, index: int) -> Iterator[Frame] | tuple[Frame, ...]:
    # What is recorded is answered again and again; a very long answer is not kept in memory.
    if len(block.text) > _CACHED_CHARACTERS:
        return _rendered(block, index)
    return _cached(block.kind, block.text, index)


@lru_cache(maxsize=256)
def _cached(kind: Any, text: str, index: int) -> tuple[Frame, ...]:
    return tuple(_rendered(Block(kind, text, 0), index))


def _rendered(block: Block, index: int) -> Iterator[Frame]:
    kind, key = {
        "text": ("text_delta", "text"),
        "thinking": ("thinking_delta", "thinking"),
        "tool_use": ("input_json_delta", "partial_json"),
    }[block.kind]
    for part in deltas(block):
        data = {"index": index, "delta": {"type": kind, key: part.text}}
        yield Frame(event_bytes("content_block_delta", data), part.tokens)


def _block_stop(index: int, block: Block) -> bytes:
    stop = event_bytes("content_block_stop", {"index": index})
    if block.kind != "thinking":
        return stop
    signed = {"type": "signature_delta", "signature": block.signature}
    return event_bytes("content_block_delta", {"index": index, "delta": signed}) + stop
