"""Replies of the Messages API, in one piece or as a stream of events."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from helios.domain.usage import Usage
from helios.providers.simulator.script import Answer
from helios.providers.simulator.tokens import pieces

PREFIX = "[simulated] "
TOKENS_PER_DELTA = 12
CHARACTERS_PER_DELTA = 48
_REQUESTS_PER_MINUTE = 4_000
_TOKENS_PER_MINUTE = 2_000_000


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer on its way out; without usage when a fault takes it away."""

    id: str
    model: str
    content: Mapping[str, Any]
    stop_reason: str
    usage: Usage
    shows_usage: bool = True

    def message(self) -> dict[str, Any]:
        """The answer in one piece."""
        usage = self._usage(self.usage.output_tokens)
        return self._message([dict(self.content)], self.stop_reason, usage)

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The answer as the events of a stream, in the API's order."""
        yield "message_start", {"message": self._message([], None, self._usage(1))}
        yield "ping", {}
        start, deltas = _block_start(self.content), _deltas(self.content)
        yield "content_block_start", {"index": 0, "content_block": start}
        for delta in deltas:
            yield "content_block_delta", {"index": 0, "delta": delta}
        yield "content_block_stop", {"index": 0}
        ending: dict[str, Any] = {"delta": {"stop_reason": self.stop_reason, "stop_sequence": None}}
        if self.shows_usage:
            ending["usage"] = {"output_tokens": self.usage.output_tokens}
        yield "message_delta", ending
        yield "message_stop", {}

    def _message(
        self, content: Sequence[Mapping[str, Any]], stop_reason: str | None, usage: dict[str, Any]
    ) -> dict[str, Any]:
        message: dict[str, Any] = {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": list(content),
            "stop_reason": stop_reason,
            "stop_sequence": None,
        }
        return {**message, "usage": usage} if self.shows_usage else message

    def _usage(self, output_tokens: int) -> dict[str, Any]:
        return {
            "input_tokens": self.usage.input_tokens,
            "cache_creation_input_tokens": self.usage.cache_write_tokens,
            "cache_read_input_tokens": self.usage.cache_read_tokens,
            "output_tokens": output_tokens,
            "service_tier": "standard",
        }


def content_of(answer: Answer, message_id: str, max_tokens: int) -> tuple[dict[str, Any], str]:
    """A recorded answer as a content block, cut off at `max_tokens`, and why it ended."""
    whole = answer.tokens <= max_tokens
    if answer.tool is None:
        text = answer.text if whole else "".join(islice(pieces(answer.text), max_tokens))
        block: dict[str, Any] = {"type": "text", "text": PREFIX + text.removeprefix(PREFIX)}
        return block, "end_turn" if whole else "max_tokens"
    block = {
        "type": "tool_use",
        "id": f"toolu_sim_{message_id.removeprefix('msg_sim_')}",
        "name": answer.tool,
        "input": dict(answer.input) if whole else {},
    }
    return block, "tool_use" if whole else "max_tokens"


def headers(request_id: str, now: float) -> dict[str, str]:
    """The headers of every answer: who answered, and limits as the API reports them."""
    reset = (datetime.fromtimestamp(now, UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    limits = {
        "requests": _REQUESTS_PER_MINUTE,
        "tokens": _TOKENS_PER_MINUTE,
        "input-tokens": _TOKENS_PER_MINUTE,
        "output-tokens": _TOKENS_PER_MINUTE,
    }
    shown = {"request-id": request_id, "x-helios-simulated": "true"}
    for kind, limit in limits.items():
        shown[f"anthropic-ratelimit-{kind}-limit"] = str(limit)
        shown[f"anthropic-ratelimit-{kind}-remaining"] = str(limit - 1)
        shown[f"anthropic-ratelimit-{kind}-reset"] = reset
    return shown


def to_json(value: Mapping[str, Any]) -> bytes:
    """A value as the API sends it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event_bytes(kind: str, data: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return f"event: {kind}\ndata: ".encode() + to_json({"type": kind, **data}) + b"\n\n"


def _block_start(content: Mapping[str, Any]) -> dict[str, Any]:
    key, empty = ("input", {}) if content["type"] == "tool_use" else ("text", "")
    return {**content, key: empty}


def _deltas(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if content["type"] == "tool_use":
        text = json.dumps(content["input"], ensure_ascii=False)
        for start in range(0, len(text), CHARACTERS_PER_DELTA):
            part = text[start : start + CHARACTERS_PER_DELTA]
            yield {"type": "input_json_delta", "partial_json": part}
        return
    tokens = pieces(content["text"])
    while part := "".join(islice(tokens, TOKENS_PER_DELTA)):
        yield {"type": "text_delta", "text": part}
