"""When the plan's windows run out at the pace seen so far."""

from dataclasses import dataclass

from helios.domain.budget.forecast import WindowForecast, forecast_window, in_words
from helios.domain.budget.limit import Balance
from helios.domain.budget.pace import MOST_SPANS, Pace, pace_of, span_for, uses_of
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Anchored, Calendar, OpensOnUse
from helios.ports.budget import BudgetBook
from helios.services.governor import Governor

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Outlook:
    """One limit's books, what becomes of them, and that in a sentence."""

    balance: Balance
    forecast: WindowForecast | None
    sentence: str


class Forecaster:
    """Forecasts from what was spent; changes nothing."""

    def __init__(self, governor: Governor, book: BudgetBook, *, simulated: bool) -> None:
        self._governor = governor
        self._book = book
        self._simulated = simulated

    async def windows(self) -> tuple[Outlook, ...]:
        """The plan's windows, shares of single models left out."""
        limits = tuple(limit for limit in self._governor.ceilings.of_plan if not limit.tiers)
        balances, now = await self._governor.books(limits)
        return tuple([await self._outlook(balance, now) for balance in balances])

    async def _outlook(self, balance: Balance, now: float) -> Outlook:
        forecast = forecast_window(await self._pace(balance, now), balance, now)
        return Outlook(balance, forecast, in_words(forecast, balance, now))

    async def _pace(self, balance: Balance, now: float) -> Pace:
        span_s = span_for(_length_s(balance))
        since = now - MOST_SPANS * span_s
        samples = await self._book.samples(since, now, span_s, simulated=self._simulated)
        if balance.limit.unit is Unit.MILLIPOINTS:
            points_of = self._governor.ceilings.plan.points_of
            uses = [(sample.at, points_of(sample.cost_microusd)) for sample in samples]
        else:
            uses = uses_of(samples, balance.limit.unit)
        return pace_of(uses, now=now, span_s=span_s)


def _length_s(balance: Balance) -> float:
    match balance.limit.window:
        case OpensOnUse(length_s) | Anchored(length_s=length_s):
            return length_s
        case Calendar(period):
            return DAY_S if period == "day" else 30 * DAY_S
        case _:
            return 30 * DAY_S
