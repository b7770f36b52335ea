"""Lengths of time and dates as people write them in a project file."""

import re
from datetime import datetime

LONGEST_S = 366 * 24 * 3600.0

DURATION_PATTERN = r"^\s*([0-9]{1,9}(\.[0-9]{1,9})?\s*[dhms]\s*)+$"

_DURATION = re.compile(DURATION_PATTERN)
_PART = re.compile(r"([0-9.]+)\s*([dhms])")
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_EXAMPLES = "such as 90s, 10m or 2h"


def parse_duration(text: str) -> float:
    """Seconds of a text such as 90s, 10m, 2h or 1h30m.

    Raises:
        ValueError: it is no such text, nothing, or more than a year.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f"expected seconds or a length of time {_EXAMPLES}")
    seconds = sum(float(count) * _SECONDS[unit] for count, unit in _PART.findall(text))
    if not 0 < seconds <= LONGEST_S:
        raise ValueError("a length of time is more than 0 and at most 366d")
    return seconds


def parse_deadline(text: str, now: float) -> float:
    """UTC seconds of an ISO date-time with an offset, or of a length of time from `now`.

    Raises:
        ValueError: it is neither, or the offset is missing.
    """
    if _DURATION.fullmatch(text):
        return now + parse_duration(text)
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            "expected a date-time such as 2027-01-31T18:00:00+09:00, "
            f"or a length of time {_EXAMPLES}"
        ) from None
    if when.tzinfo is None:
        raise ValueError("a date-time needs its offset from UTC, such as +09:00 or Z")
    return when.timestamp()
