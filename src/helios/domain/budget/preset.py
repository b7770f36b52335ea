"""A plan: the named set of limits a user has with a provider."""

import math
from dataclasses import dataclass, replace

from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import WindowRule
from helios.domain.budget.zones import Thresholds
from helios.domain.pricing import MICRO, Tier


@dataclass(frozen=True, slots=True)
class PlanWindow:
    """One window of a plan: its ceiling and, optionally, the strong models' share of it (0..1).

    `provider` is the name under which the provider tells how full it is; "" when it does not.
    """

    name: str
    rule: WindowRule
    unit: Unit
    cap: int
    strong_share: float | None = None
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A named plan with its windows and thresholds.

    `window_usd` is what a full first window is taken to be worth at list prices, in US dollars; a
    utilisation point is a hundredth of it. None: the plan counts no points.
    """

    name: str
    about: str
    windows: tuple[PlanWindow, ...]
    thresholds: Thresholds
    window_usd: float | None = None

    def points_of(self, microusd: int) -> int:
        """What an amount of money is in thousandths of a point, rounded up."""
        if self.window_usd is None:
            return 0
        return math.ceil(microusd * 100_000 / (self.window_usd * MICRO))


STRONG_TIERS = frozenset({Tier.STRONG, Tier.FRONTIER})


def share_of_cap(cap: int, share: float) -> int:
    """A share (0..1) of a ceiling, rounded down, but not for the sake of a binary fraction."""
    return math.floor(round(cap * share, 6))


def simulated_plan(plan: Plan) -> Plan:
    """The same plan with windows of its own, for calls that no provider counts."""
    return replace(plan, name=f"{plan.name} (simulated)")


def human_reserve(plan: Plan, share: float) -> tuple[Limit, ...]:
    """What agents may use of a plan's windows when a share (0..1) is kept for the person."""
    if share <= 0:
        return ()
    return tuple(
        Limit(
            key=f"plan/{plan.name}/{window.name}/agents-{window.unit}",
            unit=window.unit,
            cap=share_of_cap(window.cap, 1 - share),
            window=window.rule,
            window_key=f"plan/{plan.name}/{window.name}",
            label=f"agents' part of the {window.name} window",
        )
        for window in plan.windows
    )


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
