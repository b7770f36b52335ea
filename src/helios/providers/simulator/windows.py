"""The provider's own limits: windows of messages or tokens, and the headers that tell of them.

Each organisation (the credential) has its own. A window opens with the first request, has a fixed
length and is gone when it ends. Messages count when a request is accepted, tokens when they are
billed.
Limits a minute are told as the API tells them to keys, all others as it tells subscriptions; the
names are those that `providers/signals/headers.py` reads.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from helios.domain.usage import Usage
from helios.errors import UsageError
from helios.providers.signals.headers import KEY_FAMILIES, PREFIX, UNIFIED, WINDOW_BY_PART
from helios.providers.simulator.faults import Refusal

Header = tuple[bytes, bytes]

_PART_BY_WINDOW = {window: part for part, window in WINDOW_BY_PART.items()}
_UNSET: Mapping[str, int] = {
    "requests": 4_000,
    "tokens": 2_000_000,
    "input-tokens": 2_000_000,
    "output-tokens": 2_000_000,
}
"""What keys are told where nothing limits them; never enforced."""
_WARN_FROM = 0.8
_LENGTHS_S = {"five_hour": 18_000.0}
_WEEK_S = 604_800.0
_FORM = re.compile(
    r"([a-z0-9_-]+)=(\d{1,15})(messages|tokens)?(?:/(\d{1,9}(?:\.\d+)?)s?)?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Limit:
    """One window: `amount` messages or tokens in `length_s` seconds, for models named `model`."""

    name: str
    amount: int
    unit: str
    length_s: float
    model: str = ""

    @property
    def by_minute(self) -> bool:
        """Whether it is one of those that keys are told of."""
        return self.name in KEY_FAMILIES

    def counts(self, usage: Usage) -> int:
        """How much of it an answer takes."""
        match self.name:
            case "input-tokens":
                # What is read from the cache does not count, as the API's documentation says.
                return usage.input_tokens + usage.cache_write_tokens
            case "output-tokens":
                return usage.output_tokens
            case _:
                return usage.total_tokens if self.unit == "tokens" else 0


@dataclass(slots=True)
class _Window:
    ends_at: float
    used: int = 0


class Limits:
    """The windows of all organisations.

    Args:
        limits: what is limited; nothing without them.
        overage: a subscription's windows are not enforced when they are full, as with paid overage.
    """

    def __init__(self, limits: Sequence[Limit] = (), *, overage: bool = False) -> None:
        self._limits = tuple(limits)
        self._overage = overage
        self._windows: dict[tuple[str, str], _Window] = {}
        self._usual: tuple[int, list[Header]] = (-1, [])

    def admit(self, organisation: str, model: str, now: float) -> Refusal | None:
        """Count a request, or say why it is refused; a refused one counts nowhere."""
        bound = [limit for limit in self._limits if limit.model in model]
        for limit in bound:
            window = self._window(organisation, limit, now)
            if window.used >= limit.amount and (limit.by_minute or not self._overage):
                wait_s = max(1, math.ceil(window.ends_at - now))
                return Refusal(
                    429,
                    "rate_limit_error",
                    f"simulated: the window {limit.name} is full; it resets in {wait_s} s",
                    {"retry-after": str(wait_s)},
                )
        for limit in bound:
            window = self._window(organisation, limit, now)
            self._windows[organisation, limit.name] = window
            window.used += limit.unit == "messages"
        return None

    def spend(self, organisation: str, model: str, usage: Usage, now: float) -> None:
        """Count what was billed."""
        for limit in self._limits:
            if limit.model in model:
                self._window(organisation, limit, now).used += limit.counts(usage)

    def headers(self, organisation: str, now: float) -> list[Header]:
        """What an answer tells of the limits."""
        if not self._limits:
            return self._told_to_keys(now)
        shown: list[Header] = []
        for limit in self._limits:
            if limit.by_minute:
                window = self._window(organisation, limit, now)
                left = max(0, limit.amount - window.used)
                shown += _family(limit.name, limit.amount, left, window.ends_at)
        plans = [limit for limit in self._limits if not limit.by_minute]
        return shown + (self._unified(organisation, plans, now) if plans else [])

    def _window(self, organisation: str, limit: Limit, now: float) -> _Window:
        """The window that is open, or the one that would open now."""
        window = self._windows.get((organisation, limit.name))
        if window is None or window.ends_at <= now:
            return _Window(now + limit.length_s)
        return window

    def _told_to_keys(self, now: float) -> list[Header]:
        second, shown = self._usual
        if second != int(now):
            shown = []
            for family, amount in _UNSET.items():
                shown += _family(family, amount, amount - 1, now + 60)
            self._usual = (int(now), shown)
        return shown

    def _unified(self, organisation: str, limits: list[Limit], now: float) -> list[Header]:
        shown: dict[str, str] = {}
        fullest, most, resets_at = limits[0].name, -1.0, now
        for limit in limits:
            window = self._window(organisation, limit, now)
            part = _PART_BY_WINDOW.get(limit.name, limit.name)
            share = window.used / limit.amount
            shown[f"{part}-utilization"] = f"{math.floor(min(share, 1) * 100) / 100:g}"
            shown[f"{part}-reset"] = str(math.ceil(window.ends_at))
            shown[f"{part}-status"] = _status(share)
            if share > most:
                fullest, most, resets_at = limit.name, share, window.ends_at
        shown["status"] = _status(most)
        shown["reset"] = str(math.ceil(resets_at))
        shown["representative-claim"] = fullest
        shown["overage-status"] = "allowed" if self._overage else "rejected"
        if self._overage and most >= 1:
            shown["overage-in-use"] = "true"
        return [(f"{UNIFIED}{key}".encode(), value.encode()) for key, value in shown.items()]


def read_limit(text: str) -> Limit:
    """A limit as in `five_hour=900messages`, `requests=50` or `five_hour=20messages/30s`.

    Raises:
        UsageError: it is something else.
    """
    found = _FORM.fullmatch(text.strip())
    name = found[1] if found else ""
    name = name.replace("_", "-") if name.replace("_", "-") in KEY_FAMILIES else name
    known = (*KEY_FAMILIES, *_PART_BY_WINDOW)
    if not found or name not in known or int(found[2]) == 0 or found[4] in ("0", "0.0"):
        raise UsageError(
            f"--window {text}: not understood",
            next_step="Write it as five_hour=900messages, seven_day=2000000tokens or requests=50, "
            f"with /30s behind it for another length; known: {', '.join(known)}.",
        )
    by_minute = name in KEY_FAMILIES
    unit = found[3] or "messages"
    if by_minute:
        unit = "messages" if name == "requests" else "tokens"
    usual_s = 60.0 if by_minute else _LENGTHS_S.get(name, _WEEK_S)
    length_s = float(found[4]) if found[4] else usual_s
    model = name.removeprefix("seven_day_") if name.endswith(("_opus", "_sonnet")) else ""
    return Limit(name, int(found[2]), unit, length_s, model)


def _status(share: float) -> str:
    if share >= 1:
        return "rejected"
    return "allowed_warning" if share >= _WARN_FROM else "allowed"


def _family(family: str, amount: int, left: int, resets_at: float) -> list[Header]:
    reset = datetime.fromtimestamp(math.ceil(resets_at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    shown = {"limit": str(amount), "remaining": str(left), "reset": reset}
    return [(f"{PREFIX}{family}-{key}".encode(), value.encode()) for key, value in shown.items()]
