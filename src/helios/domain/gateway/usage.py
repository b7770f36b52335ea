"""What an answer tells of its own consumption. What is told wrong is not known, never guessed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import jiter

from helios.domain.gateway.json_values import is_list, is_object
from helios.domain.usage import Usage

FROM_BETWEEN = frozenset({502, 504})
"""Told when the API was asked and did not answer in time: it may have gone on."""
MOST_COUNTED = 1_000_000_000
"""More tokens or uses than any one answer can have taken."""


class Rate(StrEnum):
    """At which prices an answer was made: a workspace's own settings may change what was asked."""

    LISTED = "listed"
    US = "us"
    UNKNOWN = "unknown"

    def cost_microusd(self, listed: int, bound: int) -> int:
        """What tokens cost that would cost `listed` otherwise; where no price is known, the bound.

        Tokens cost 1.1 times as much in the US alone (provider's page "Data residency", section
        "Pricing").
        """
        match self:
            case Rate.LISTED:
                return listed
            case Rate.US:
                return -(-listed * 11 // 10)
            case Rate.UNKNOWN:
                return max(-(-listed * 11 // 10), bound)


_LISTED_SPEEDS = (None, "standard")
_LISTED_PLACES = (None, "global", "not_available")


@dataclass(frozen=True, slots=True)
class Counted:
    """What one answer took: tokens, and uses of tools the provider ran, by their name.

    `iterations` are the models' single turns as far as the answer tells them, each with the model
    it names or "".
    """

    usage: Usage
    server_tools: Mapping[str, int] = field(default_factory=dict[str, int])
    iterations: tuple[tuple[str, Usage], ...] = ()
    rate: Rate = Rate.LISTED

    def __add__(self, other: "Counted") -> "Counted":
        tools = {
            name: self.server_tools.get(name, 0) + other.server_tools.get(name, 0)
            for name in {**self.server_tools, **other.server_tools}
        }
        dearer = max(self.rate, other.rate, key=list(Rate).index)
        return Counted(self.usage + other.usage, tools, self.iterations + other.iterations, dearer)

    def as_turn(self, model: str) -> "Counted":
        """The same as at least one turn, of the model that answered."""
        return replace(self, iterations=self.iterations or ((model, self.usage),))


@dataclass(frozen=True, slots=True)
class Metered:
    """All that is known of an answer, streamed or in one piece.

    Attributes:
        started: a message began: the provider charges for it.
        usage: as last told, cumulative; None when it was never told or makes no sense.
        server_tools: uses of tools the provider ran, by the name of their counter.
        iterations: single turns, see `Counted`.
        rate: at which prices it was made.
        output_known: the final count of output tokens has come.
        stopped: the message ended as it should.
        stop_reason: why the model stopped; "" while it has not.
        model: which model answered; "" when not told.
        error: type and message of the error that came, if one did.
        message_id: the provider's name for the message; "" when not told.
        malformed: events that could not be read.
        oversize: an event was larger than the meter keeps, and was passed over.
    """

    started: bool = False
    usage: Usage | None = None
    server_tools: Mapping[str, int] = field(default_factory=dict[str, int])
    iterations: tuple[tuple[str, Usage], ...] = ()
    rate: Rate = Rate.LISTED
    output_known: bool = False
    stopped: bool = False
    stop_reason: str = ""
    model: str = ""
    error: tuple[str, str] | None = None
    message_id: str = ""
    malformed: int = 0
    oversize: bool = False


def read_usage(data: object, *, hour_cache: bool = False) -> Counted | None:
    """The `usage` of a Messages answer; None when a count is missing, negative or no whole number.

    Counts of kinds that are null or absent are 0, but for input and output, which every answer has.
    What summarising the context took ("compaction" in `iterations`) is not in the totals and is
    added (provider's reference of `usage.iterations`).

    Args:
        data: what the answer tells.
        hour_cache: something may have been written to the one-hour cache; what is not named as
            written for five minutes is then taken for that.
    """
    if not is_object(data):
        return None
    usage = _tokens(data, hour_cache=hour_cache)
    tools = _tools(data.get("server_tool_use"))
    if usage is None or tools is None:
        return None
    if not data.get("iterations"):
        return Counted(usage, tools, (), _rate(data))
    turns: list[tuple[str, Usage]] = []
    for iteration in _objects(data["iterations"]):
        took = _tokens(iteration, hour_cache=hour_cache)
        if took is not None:
            turns.append((text_of(iteration.get("model")), took))
        if iteration.get("type") == "compaction":
            if took is None:
                return None
            usage += took
    return Counted(usage, tools, tuple(turns), _rate(data))


def read_answer(body: bytes, *, hour_cache: bool = False) -> Metered:
    """What the body of an answer in one piece tells: a message, or an error.

    `hour_cache` is as in `read_usage`.
    """
    try:
        data = jiter.from_json(body)
    except ValueError:
        return Metered(malformed=1)
    if not is_object(data):
        return Metered(malformed=1)
    error = read_error(data)
    if error:
        return Metered(error=error)
    counted = read_usage(data.get("usage"), hour_cache=hour_cache)
    is_message = data.get("type") == "message" or counted is not None
    return Metered(
        started=is_message,
        usage=counted.usage if counted else None,
        server_tools=counted.server_tools if counted else {},
        iterations=counted.iterations if counted else (),
        rate=counted.rate if counted else Rate.LISTED,
        output_known=counted is not None,
        stopped=is_message,
        stop_reason=text_of(data.get("stop_reason")),
        model=text_of(data.get("model")),
        message_id=text_of(data.get("id")),
    )


def is_error(body: bytes) -> bool:
    """Whether a body is an error that the API itself tells, and not somebody before it."""
    try:
        return is_api_error(jiter.from_json(body))
    except ValueError:
        return False


def is_api_error(data: object) -> bool:
    """The same of its JSON."""
    error = data.get("error") if is_object(data) and data.get("type") == "error" else None
    return is_object(error) and bool(text_of(error.get("type")))


def read_error(data: Mapping[str, Any]) -> tuple[str, str] | None:
    """Type and message of an error in the API's shape; None when it is none."""
    if data.get("type") != "error":
        return None
    error = data.get("error")
    told: Mapping[str, Any] = error if is_object(error) else {}
    return text_of(told.get("type")) or "api_error", text_of(told.get("message"))


def text_of(value: object) -> str:
    """A text of at most 1,000 characters; "" for what is none."""
    return value[:1000] if isinstance(value, str) else ""


def whole(value: object) -> int | None:
    """A count as an answer may tell it: a whole number from 0 to a milliard; else None."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= MOST_COUNTED else None


def _objects(values: object) -> list[dict[str, Any]]:
    return [value for value in values if is_object(value)] if is_list(values) else []


def _rate(data: Mapping[str, Any]) -> Rate:
    place = data.get("inference_geo")
    if data.get("speed") not in _LISTED_SPEEDS or place not in (*_LISTED_PLACES, Rate.US):
        return Rate.UNKNOWN
    return Rate.US if place == Rate.US else Rate.LISTED


def _tokens(data: Mapping[str, Any], *, hour_cache: bool) -> Usage | None:
    counts = (
        whole(data.get("input_tokens")),
        whole(data.get("output_tokens")),
        _optional(data.get("cache_creation_input_tokens")),
        _optional(data.get("cache_read_input_tokens")),
    )
    written_1h = _written_for_an_hour(data, hour_cache=hour_cache)
    if None in counts or written_1h is None:
        return None
    plain, output, written, read = (count or 0 for count in counts)
    return Usage(plain, output, max(written, written_1h), read, written_1h)


def _written_for_an_hour(data: Mapping[str, Any], *, hour_cache: bool) -> int | None:
    created = data.get("cache_creation")
    if created is None:
        created = {}
    if not is_object(created):
        return None
    hour = _optional(created.get("ephemeral_1h_input_tokens"))
    short = _optional(created.get("ephemeral_5m_input_tokens"))
    total = _optional(data.get("cache_creation_input_tokens"))
    if hour is None or short is None or total is None:
        return None
    # The end of a stream tells a new total and no new parts: the rest may be the dearer kind.
    named_short = created.get("ephemeral_5m_input_tokens") is not None
    return max(hour, total - short) if hour_cache or (hour and named_short) else hour


def _optional(value: object) -> int | None:
    return 0 if value is None else whole(value)


def _tools(data: object) -> Mapping[str, int] | None:
    if data is None:
        return {}
    if not is_object(data):
        return None
    counts = {str(name)[:80]: _optional(value) for name, value in data.items()}
    known = {name: count for name, count in counts.items() if count is not None}
    return known if len(known) == len(counts) else None
