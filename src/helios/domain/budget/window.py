"""Windows: the spans of time over which a limit counts.

Times are seconds since 1970 in UTC. A window is half open: it covers `opened_at` and everything
before `closes_at`. A new window is a new value; nothing is ever reset in place.
"""

import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

NEVER = math.inf


@dataclass(frozen=True, slots=True)
class Window:
    """One span of a limit."""

    opened_at: float
    closes_at: float = NEVER

    def covers(self, now: float) -> bool:
        """Whether this window is open at `now`."""
        return self.opened_at <= now < self.closes_at


@dataclass(frozen=True, slots=True)
class Forever:
    """One window that never closes: a total for the life of its scope."""


@dataclass(frozen=True, slots=True)
class OpensOnUse:
    """Opens with the first use and lasts `length_s` seconds (the five-hour window)."""

    length_s: float


@dataclass(frozen=True, slots=True)
class Anchored:
    """Follows one upon another, `length_s` seconds each, counted from `anchor` (a weekly cap)."""

    length_s: float
    anchor: float = 0.0


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar day or month in a time zone."""

    period: Literal["day", "month"]
    zone: str = "UTC"


WindowRule = Forever | OpensOnUse | Anchored | Calendar


def window_at(rule: WindowRule, current: Window | None, now: float) -> Window:
    """The window that counts a use at `now`.

    Args:
        rule: how windows follow one another.
        current: the newest window known, open or closed; None when there was none.
        now: the time of use. A clock that went back frees nothing: a time before `current`
            opened counts in `current`.
    """
    if current is not None and now < current.closes_at:
        return current
    match rule:
        case Forever():
            return Window(now)
        case OpensOnUse(length_s):
            return Window(now, now + length_s)
        case Anchored(length_s, anchor):
            start = anchor + math.floor((now - anchor) / length_s) * length_s
            # Rounding may leave `now` a hair outside its own span.
            start = start - length_s if start > now else start
            start = start + length_s if start + length_s <= now else start
            return Window(start, start + length_s)
        case Calendar(period, zone):
            return _calendar_window(period, ZoneInfo(zone), now)


def _calendar_window(period: Literal["day", "month"], zone: ZoneInfo, now: float) -> Window:
    today = datetime.fromtimestamp(now, zone).date()
    if period == "day":
        first, after = today, today + timedelta(days=1)
    else:
        first = today.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
    return Window(_midnight(first, zone), _midnight(after, zone))


def _midnight(day: date, zone: ZoneInfo) -> float:
    return datetime.combine(day, time(), zone).timestamp()
