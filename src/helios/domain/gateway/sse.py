"""The meter at the side of a stream: what a streamed answer of the Messages API tells.

It is fed the chunks that are forwarded, and neither changes nor delays them. Events of text are by
far the most: they are kept as they are and read together when some have gathered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jiter

from helios.domain.gateway.events import LARGEST_EVENT, EventSplitter
from helios.domain.gateway.json_values import is_object
from helios.domain.gateway.usage import (
    Counted,
    Metered,
    Rate,
    read_error,
    read_usage,
    text_of,
    whole,
)

MOST_SEEN = 8_000_000
"""Characters of the answer that are kept for `seen`."""
_GATHERED = 32_768
"""Bytes of events of text that are read together."""
_WEIGHT = 64
"""What an event or a piece weighs beside its text, in bytes and about."""
_DELTA = (b'{"type":"content_block_delta"', b'{"type": "content_block_delta"')
_TEXTS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
    "compaction_delta": "content",
}
_NOT_WRITTEN = ("signature_delta", "citations_delta")
"""Deltas of what the model does not write."""
_TOLD = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cache_creation",
    "server_tool_use",
    "iterations",
    "inference_geo",
    "speed",
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What has come of one content block.

    `kind` and `name` (of a tool) are "" when its beginning was not seen; `closed` says that its end
    was.
    """

    index: int
    kind: str
    name: str
    text: str
    closed: bool = False


@dataclass(slots=True)
class _Block:
    kind: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list[str])
    closed: bool = False


class Meter:
    """Reads one streamed answer as it passes. Nothing in a stream makes it raise.

    `hour_cache` says that something may be written to the one-hour cache, see `read_usage`.
    """

    def __init__(
        self,
        largest_event: int = LARGEST_EVENT,
        most_seen: int = MOST_SEEN,
        *,
        hour_cache: bool = False,
    ) -> None:
        self._truncated = False
        self._events = EventSplitter(largest_event)
        self._most_seen = most_seen
        self._hour_cache = hour_cache
        self._weight = 0
        self._raw: list[bytes] = []
        self._raw_weight = 0
        self._blocks: dict[int, _Block] = {}
        self._usage: dict[str, Any] | None = None
        self._several = False
        self._earlier: Counted | None = None
        self._started = self._stopped = self._output_told = False
        self._stop_reason = self._model = self._message_id = ""
        self._error: tuple[str, str] | None = None
        self._malformed = 0

    def feed(self, chunk: bytes) -> None:
        """Read a chunk of the body that was or will be forwarded."""
        for _, data in self._events.feed(chunk):
            if data.startswith(_DELTA):
                self._gather(data)
            else:
                self._read(data)

    def close(self) -> Metered:
        """The stream is over, or was broken off: what it told. Nothing is fed after this."""
        malformed = self._malformed
        for _, data in self._events.close():
            self._read(data)
        self._malformed = malformed
        return self.metered()

    def metered(self) -> Metered:
        """What the stream has told so far."""
        counted = self._counted()
        return Metered(
            started=self._started,
            usage=counted.usage if counted else None,
            server_tools=counted.server_tools if counted else {},
            iterations=counted.iterations if counted else (),
            rate=counted.rate if counted else Rate.LISTED,
            output_known=self._output_known,
            stopped=self._stopped,
            stop_reason=self._stop_reason,
            model=self._model,
            error=self._error,
            message_id=self._message_id,
            malformed=self._malformed,
            oversize=self._events.oversize,
        )

    def seen(self) -> tuple[Seen, ...]:
        """The texts that have come, by content block: what a broken stream is charged by."""
        self._read_gathered()
        return tuple(
            Seen(index, block.kind, block.name, "".join(block.pieces), block.closed)
            for index, block in sorted(self._blocks.items())
        )

    @property
    def seen_truncated(self) -> bool:
        """Whether more has come than `seen` tells: too much, or what could not be read."""
        self._read_gathered()
        return self._truncated or self._events.oversize or self._malformed > 0

    @property
    def _output_known(self) -> bool:
        # A count that comes before the end is of what had come until then.
        return self._output_told and (self._stopped or bool(self._stop_reason))

    def _counted(self) -> Counted | None:
        """What all messages in the stream took; of several, only when each has told its end."""
        counted = read_usage(self._usage, hour_cache=self._hour_cache)
        if not self._several or counted is None:
            return counted
        if self._earlier is None or not self._output_known:
            return None
        return self._earlier + counted.as_turn(self._model)

    def _gather(self, data: bytes) -> None:
        if self._truncated:
            return
        self._raw.append(data)
        self._raw_weight += len(data) + _WEIGHT
        if self._raw_weight > _GATHERED:
            self._read_gathered()

    def _read_gathered(self) -> None:
        raw, self._raw, self._raw_weight = self._raw, [], 0
        pieces: dict[int, list[str]] = {}
        for event in _parsed_together(raw):
            text = _text_of_delta(event) if event else None
            if event is None or text is None:
                self._truncated = True
            else:
                pieces.setdefault(_index(event), []).append(text)
        for index, texts in pieces.items():
            self._add(index, "".join(texts))

    def _add(self, index: int, text: str) -> None:
        room = self._most_seen - self._weight
        if len(text) > room:
            self._truncated = True
            text = text[: max(0, room)]
        if text:
            self._weight += len(text) + _WEIGHT
            self._blocks.setdefault(index, _Block()).pieces.append(text)

    def _read(self, data: bytes) -> None:
        event = _parsed(data)
        if event is None:
            self._malformed += 1
            return
        match event.get("type"):
            case "message_start":
                self._start(_part(event, "message"))
            case "content_block_start":
                self._start_block(event)
            case "content_block_delta":
                self._gather(data)
            case "content_block_stop":
                if block := self._blocks.get(_index(event)):
                    block.closed = True
            case "message_delta":
                self._stop_reason = text_of(_part(event, "delta").get("stop_reason"))
                told = _part(event, "usage")
                self._merge(told)
                self._output_told |= whole(told.get("output_tokens")) is not None
            case "message_stop":
                self._stopped = True
            case "error":
                self._error = read_error(event)
            case _:
                return  # pings, and what is new

    def _start(self, message: Mapping[str, Any]) -> None:
        if self._started:
            self._set_aside()
        self._started = True
        self._message_id = text_of(message.get("id"))
        self._model = text_of(message.get("model"))
        self._merge(_part(message, "usage"))

    def _set_aside(self) -> None:
        """Another message begins in the same stream, and is billed beside what came before."""
        counted = self._counted() if self._output_known else None
        self._earlier = counted.as_turn(self._model) if counted else None
        self._several = True
        self._usage = None
        self._output_told = self._stopped = False
        self._stop_reason = ""

    def _merge(self, told: Mapping[str, Any]) -> None:
        """Counts are cumulative: the larger one stands. One that is null says nothing."""
        earlier = self._usage or {}
        later = {
            name: _larger(earlier.get(name), told[name])
            for name in _TOLD
            if told.get(name) is not None
        }
        if later:
            self._usage = {**earlier, **later}

    def _start_block(self, event: Mapping[str, Any]) -> None:
        self._output_told = False
        index, content = _index(event), _part(event, "content_block")
        self._weight += _WEIGHT
        if self._weight > self._most_seen:
            self._truncated = True
            return
        block = self._blocks.setdefault(index, _Block())
        block.kind = text_of(content.get("type"))
        block.name = text_of(content.get("name"))
        block.closed = False
        for name in ("text", "thinking"):
            text = content.get(name)
            if isinstance(text, str):
                self._add(index, text)


def _larger(earlier: object, later: object) -> object:
    """The larger of two counts, or of each in two objects of them; the later one of what are none,
    so that nonsense is seen.
    """
    if is_object(earlier) and is_object(later):
        told = {name: count for name, count in later.items() if count is not None}
        return earlier | {name: _larger(earlier.get(name), count) for name, count in told.items()}
    before, after = whole(earlier), whole(later)
    return later if before is None or after is None else max(before, after)


def _parsed(data: bytes) -> dict[str, Any] | None:
    try:
        event = jiter.from_json(data, cache_mode="keys")
    except ValueError:
        return None
    return event if is_object(event) else None


def _parsed_together(raw: list[bytes]) -> list[dict[str, Any] | None]:
    """The events, None for those that cannot be read.

    One call for all is several times as fast as one for each.
    """
    try:
        events: list[Any] = jiter.from_json(b"[" + b",".join(raw) + b"]", cache_mode="keys")
    except ValueError:
        events = []
    if len(events) != len(raw) or not all(is_object(event) for event in events):
        return [_parsed(data) for data in raw]
    return events


def _text_of_delta(event: Mapping[str, Any]) -> str | None:
    """What the model wrote, "" for what it did not write, None for what is not known here."""
    delta = _part(event, "delta")
    kind = str(delta.get("type"))
    text = "" if kind in _NOT_WRITTEN else delta.get(_TEXTS.get(kind, ""))
    return text if isinstance(text, str) else None


def _part(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = event.get(name)
    return part if is_object(part) else {}


def _index(event: Mapping[str, Any]) -> int:
    index = whole(event.get("index"))
    return -1 if index is None else index
