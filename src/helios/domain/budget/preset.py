"""A plan: the named set of limits a user has with a provider."""

import math
from dataclasses import dataclass, replace

from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import WindowRule
from helios.domain.budget.zones import Thresholds
from helios.domain.pricing import Tier


@dataclass(frozen=True, slots=True)
class PlanWindow:
    """One window of a plan: its ceiling and, optionally, the strong models' share of it (0..1)."""

    name: str
    rule: WindowRule
    unit: Unit
    cap: int
    strong_share: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A named plan with its windows and thresholds."""

    name: str
    about: str
    windows: tuple[PlanWindow, ...]
    thresholds: Thresholds


STRONG_TIERS = frozenset({Tier.STRONG, Tier.FRONTIER})


def share_of_cap(cap: int, share: float) -> int:
    """A share (0..1) of a ceiling, rounded down, but not for the sake of a binary fraction."""
    return math.floor(round(cap * share, 6))


def simulated_plan(plan: Plan) -> Plan:
    """The same plan with windows of its own, for calls that no provider counts."""
    return replace(plan, name=f"{plan.name} (simulated)")


def plan_limits(plan: Plan) -> tuple[Limit, ...]:
    """The limits a plan sets, shared by everything that runs on it."""
    limits: list[Limit] = []
    for window in plan.windows:
        window_key = f"plan/{plan.name}/{window.name}"
        limits.append(
            Limit(
                key=f"{window_key}/{window.unit}",
                unit=window.unit,
                cap=window.cap,
                window=window.rule,
                window_key=window_key,
                label=f"{window.name} window",
                zoned=True,
                thresholds=plan.thresholds,
            )
        )
        if window.strong_share is not None:
            limits.append(
                Limit(
                    key=f"{window_key}/strong-{window.unit}",
                    unit=window.unit,
                    cap=share_of_cap(window.cap, window.strong_share),
                    window=window.rule,
                    window_key=window_key,
                    label=f"strong share of the {window.name} window",
                    tiers=STRONG_TIERS,
                )
            )
    return tuple(limits)
