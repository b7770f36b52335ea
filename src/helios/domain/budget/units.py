"""What is counted. Amounts are whole numbers, so that books balance exactly."""

from collections.abc import Mapping
from enum import StrEnum


class Unit(StrEnum):
    """The units a limit can be in."""

    MESSAGES = "messages"
    TOKENS = "tokens"
    MICROUSD = "microusd"
    MILLIPOINTS = "millipoints"


Amounts = Mapping[Unit, int]


def show(unit: Unit, amount: int) -> str:
    """An amount as people say it: "12 messages", "$1.25", "34k tokens", "12.5 points"."""
    if unit is Unit.MICROUSD:
        dollars = amount / 1_000_000
        if amount and dollars < 1:
            exact = f"{dollars:.4f}" if dollars >= 0.0001 else f"{dollars:.6f}"
            return f"${exact[:4]}{exact[4:].rstrip('0')}"
        return f"${dollars:,.2f}"
    if unit is Unit.MILLIPOINTS:
        return f"{_trimmed(amount / 1000, 3)} point{'' if amount == 1000 else 's'}"
    if unit is Unit.TOKENS and amount >= 999_500:
        return f"{_trimmed(amount / 1_000_000, 2)}M tokens"
    if unit is Unit.TOKENS and amount >= 10_000:
        return f"{amount / 1000:,.0f}k tokens"
    singular = amount == 1
    return f"{amount:,} {unit.value[:-1] if singular else unit.value}"


def _trimmed(number: float, digits: int) -> str:
    """A number with at most so many decimals, and none that say nothing."""
    return f"{number:,.{digits}f}".rstrip("0").rstrip(".")
