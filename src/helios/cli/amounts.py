"""Ceilings as people type and read them: $50, 50usd, 5 USD/day, 1,000 messages per week."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, cast

from helios.domain.budget.account import LimitRule
from helios.domain.budget.units import Unit, show
from helios.domain.budget.window import Anchored, Calendar, Forever, OpensOnUse, WindowRule
from helios.domain.pricing import MICRO
from helios.errors import UsageError

LARGEST = 2**62
WEEK_S = 7 * 86_400.0
Per = Literal["ever", "5h", "day", "week", "month"]
WINDOWS: dict[Per, WindowRule] = {
    "ever": Forever(),
    "5h": OpensOnUse(5 * 3600.0),
    "day": Calendar("day"),
    "week": Anchored(WEEK_S),
    "month": Calendar("month"),
}
AmountUnit = Literal["messages", "tokens", "usd", "points"]
UNITS: dict[AmountUnit, tuple[Unit, int]] = {
    "messages": (Unit.MESSAGES, 1),
    "tokens": (Unit.TOKENS, 1),
    "usd": (Unit.MICROUSD, MICRO),
    "points": (Unit.MILLIPOINTS, 1000),
}
EXPECTED = (
    f"Such as $50, 5usd/day or 1,000 messages; units: {', '.join(UNITS)}; "
    f"periods: {', '.join(WINDOWS)}."
)
PAUSED = "`helios budget throttle paused` lets nothing through."

_TYPED = re.compile(
    r"(?P<dollar>\$?)\s*(?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?)"
    r"\s*(?P<unit>[a-z]*?)\s*(?:(?:/|\bper\b)\s*(?P<per>[a-z0-9]+))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Wish:
    """An amount a person typed; `said` is where and how. None is what was not said."""

    said: str
    amount: Decimal
    unit: AmountUnit | None = None
    per: Per | None = None


def read_wish(text: str, place: str) -> Wish:
    """What an amount, with or without its unit and period, says.

    Args:
        text: as it was typed.
        place: the option or argument it was typed for, which every message begins with.

    Raises:
        UsageError: it is no such text.
    """
    said = f"{place} {text!r}"
    found = _TYPED.fullmatch(text.strip())
    if not found:
        if text.strip().startswith("-"):
            raise UsageError(f"{said} is not possible: it must be more than 0", next_step=EXPECTED)
        raise UsageError(f"{said}: expected an amount", next_step=EXPECTED)
    unit, per = found["unit"].lower(), (found["per"] or "").lower()
    if unit and unit not in UNITS:
        unit = f"{unit}s" if f"{unit}s" in UNITS else unit
    if unit and (unit not in UNITS or (found["dollar"] and unit != "usd")):
        raise UsageError(f"{said}: there is no such unit", next_step=EXPECTED)
    if per and per not in WINDOWS:
        raise UsageError(f"{said}: there is no period {per!r}", next_step=EXPECTED)
    unit = "usd" if found["dollar"] else unit
    amount = Decimal(found["number"].replace(",", ""))
    return Wish(
        said, amount, cast("AmountUnit | None", unit or None), cast("Per | None", per or None)
    )


def counted(wish: Wish, unit: AmountUnit) -> int:
    """The amount in the whole numbers that the books count.

    Raises:
        UsageError: it is nothing, more than can be counted, or a part of what is not divided.
    """
    of, factor = UNITS[unit]
    exact = wish.amount * factor
    least = int(exact)
    if not 0 < exact < LARGEST:
        far, cure = ("smaller", "") if exact else ("more than 0", PAUSED)
        raise UsageError(f"{wish.said} is not possible: it must be {far}", next_step=cure)
    if exact != least:
        cure = f"{show(of, least)} or {show(of, least + 1)}" if least else show(of, 1)
        raise UsageError(
            f"{wish.said} is not possible: {unit} are counted in steps of {Decimal(1) / factor:f}",
            next_step=f"Give {cure}.",
        )
    return least


def unit_of(unit: Unit) -> AmountUnit:
    """The word that people type for a unit."""
    return next(word for word, (of, _) in UNITS.items() if of is unit)


def per_of(window: WindowRule) -> Per | None:
    """The word that people type for a period; None for one that the command line has no word for.

    Days of another time zone are days all the same.
    """
    match window:
        case Calendar(period):
            return period
        case Anchored(length_s) if length_s == WEEK_S:
            return "week"
        case _:
            return next((per for per, rule in WINDOWS.items() if rule == window), None)


def span_of(window: WindowRule) -> str:
    """The period in words: "per day", "in all"."""
    per = per_of(window)
    if isinstance(window, Calendar) and window.zone != "UTC":
        return f"per {per} ({window.zone})"
    if per is None and isinstance(window, OpensOnUse | Anchored):
        return f"per {window.length_s / 3600:g}h"
    return "in all" if per == "ever" else f"per {per}"


def told(rule: LimitRule) -> str:
    """A ceiling in words: "$5.00 per day"."""
    strong = ", strong models only" if rule.strong_only else ""
    return f"{show(rule.unit, rule.cap)} {span_of(rule.window)}{strong}"


def plural(count: int, word: str) -> str:
    """The number with its noun: "1 call", "2 calls"."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
