"""Kinds of fields: what may stand in a request, and how far it may go."""

from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from helios.domain.budget.account import problem_with_account

LATEST = 4_102_444_800.0
"""The year 2100: later times are slips of a unit."""
MOST_MESSAGES = 1_000_000
MOST_TOKENS = 1_000_000_000
MOST_AMOUNT = 1_000_000_000_000_000


class Closed(BaseModel):
    """A request's part: a field that is not known is an error, not a silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


def _seconds(value: Any) -> Any:
    """UTC seconds of a number, or of a date with time and offset as RFC 3339 writes it."""
    if isinstance(value, bool):
        raise ValueError("must be a time")  # noqa: TRY004 - what Pydantic understands
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        pass
    try:
        told = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError("must be UTC seconds, or a time like 2026-11-21T09:00:00Z") from error
    if told.tzinfo is None:
        raise ValueError("must say its offset from UTC, such as Z or +09:00")
    return told.timestamp()


def _account(path: str) -> str:
    if problem := problem_with_account(path):
        raise ValueError(problem)
    return path


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f"there is no time zone {name!r}; one is Asia/Seoul") from error
    return name


Text = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A name in any script, without control characters."""
Key = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[!-~]+$")]
"""A name that programs make: visible ASCII."""
AccountPath = Annotated[str, StringConstraints(max_length=600), AfterValidator(_account)]
Count = Annotated[int, Field(strict=True, ge=1, le=MOST_MESSAGES)]
Tokens = Annotated[int, Field(strict=True, ge=0, le=MOST_TOKENS)]
Priority = Annotated[int, Field(strict=True, ge=1, le=10)]
Flag = Annotated[bool, Field(strict=True)]
Seconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Moment = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(ge=0, le=LATEST, allow_inf_nan=False),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": LATEST},
                {"type": "string", "format": "date-time"},
            ]
        }
    ),
]
"""UTC seconds since 1970, or RFC 3339 with an offset."""
ZoneName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$"),
    AfterValidator(_zone),
]
"""A name of the IANA time zone database."""
