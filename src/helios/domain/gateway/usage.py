"""What an answer tells of its own consumption. What is told wrong is not known, never guessed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jiter

from helios.domain.gateway.json_values import is_list, is_object
from helios.domain.usage import Usage

MOST_COUNTED = 1_000_000_000
"""More tokens or uses than any one answer can have taken."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What one answer took: tokens, and uses of tools the provider ran, by their name."""

    usage: Usage
    server_tools: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class Metered:
    """All that is known of an answer, streamed or in one piece.

    Attributes:
        started: a message began: the provider charges for it.
        usage: as last told, cumulative; None when it was never told or makes no sense.
        server_tools: uses of tools the provider ran, by the name of their counter.
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
    output_known: bool = False
    stopped: bool = False
    stop_reason: str = ""
    model: str = ""
    error: tuple[str, str] | None = None
    message_id: str = ""
    malformed: int = 0
    oversize: bool = False


def read_usage(data: object) -> Counted | None:
    """The `usage` of a Messages answer; None when a count is missing, negative or no whole number.

    Counts of kinds that are null or absent are 0, but for input and output, which every answer has.
    What summarising the context took ("compaction" in `iterations`) is not in the totals and is
    added (provider's reference of `usage.iterations`).
    """
    if not is_object(data):
        return None
    usage = _tokens(data)
    tools = _tools(data.get("server_tool_use"))
    if usage is None or tools is None:
        return None
    iterations = data.get("iterations")
    for iteration in iterations if is_list(iterations) else ():
        if is_object(iteration) and iteration.get("type") == "compaction":
            more = _tokens(iteration)
            if more is None:
                return None
            usage += more
    return Counted(usage, tools)


def read_answer(body: bytes) -> Metered:
    """What the body of an answer in one piece tells: a message, or an error."""
    try:
        data = jiter.from_json(body)
    except ValueError:
        return Metered(malformed=1)
    if not is_object(data):
        return Metered(malformed=1)
    error = read_error(data)
    if error:
        return Metered(error=error)
    counted = read_usage(data.get("usage"))
    is_message = data.get("type") == "message" or counted is not None
    return Metered(
        started=is_message,
        usage=counted.usage if counted else None,
        server_tools=counted.server_tools if counted else {},
        output_known=counted is not None,
        stopped=is_message,
        stop_reason=text_of(data.get("stop_reason")),
        model=text_of(data.get("model")),
        message_id=text_of(data.get("id")),
    )


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


def _tokens(data: Mapping[str, Any]) -> Usage | None:
    counts = (
        whole(data.get("input_tokens")),
        whole(data.get("output_tokens")),
        _optional(data.get("cache_creation_input_tokens")),
        _optional(data.get("cache_read_input_tokens")),
    )
    written_1h = _written_for_an_hour(data)
    if None in counts or written_1h is None:
        return None
    plain, output, written, read = (count or 0 for count in counts)
    return Usage(plain, output, max(written, written_1h), read, written_1h)


def _written_for_an_hour(data: Mapping[str, Any]) -> int | None:
    created = data.get("cache_creation")
    if created is None:
        return 0
    if not is_object(created):
        return None
    hour = _optional(created.get("ephemeral_1h_input_tokens"))
    short = _optional(created.get("ephemeral_5m_input_tokens"))
    total = _optional(data.get("cache_creation_input_tokens"))
    if hour is None or short is None or total is None:
        return None
    # The end of a stream tells a new total and no new parts: the rest may be the dearer kind.
    named_short = created.get("ephemeral_5m_input_tokens") is not None
    return max(hour, total - short) if hour and named_short else hour


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
