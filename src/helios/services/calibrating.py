"""Holds the plan's windows against what the provider says of them."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

from helios.domain.budget.calibration import (
    Calibration,
    CorrectedCap,
    Gauge,
    calibrate,
    corrected_cap,
)
from helios.domain.budget.crossings import Reading
from helios.domain.budget.limit import Balance, Limit, Lowered
from helios.domain.budget.preset import Plan, PlanWindow
from helios.domain.budget.signal import Signal
from helios.domain.budget.spend import SpendSample
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Anchored, OpensOnUse
from helios.ports.budget import BudgetBook
from helios.ports.ledger import Ledger

MOST_SIGNALS = 300
TURNS_LOOKED_BACK = 4
SAMPLE_S = 60.0


@dataclass(frozen=True, slots=True)
class Learned:
    """What the provider's figures say of one limit: the newest, what follows, and the cap now."""

    signal: Signal
    calibration: Calibration
    correction: CorrectedCap


class Calibrator:
    """Learns the size of a plan's windows. Simulated spending has no provider and none of it."""

    def __init__(self, plan: Plan, ledger: Ledger, book: BudgetBook, *, plan_only: bool) -> None:
        self._plan = plan
        self._ledger = ledger
        self._book = book
        self._plan_only = plan_only

    async def learn(self, limits: tuple[Limit, ...]) -> Mapping[str, Learned]:
        """What is known of each of these limits, by key; those no provider speaks of left out."""
        told = {signal.window: signal for signal in await self._book.latest_signals()}
        windows = {window.name: window for window in self._plan.windows if window.provider in told}
        learned: dict[str, Learned] = {}
        for balance in await self._ledger.balances(limits) if windows else ():
            window = windows.get(balance.limit.window_key.rpartition("/")[2])
            if window and not balance.limit.tiers:
                found = await self._learn(window, balance, told[window.provider])
                learned[balance.limit.key] = found
        return learned

    async def _learn(self, window: PlanWindow, balance: Balance, newest: Signal) -> Learned:
        length_s = _length_s(window)
        since = newest.at - TURNS_LOOKED_BACK * length_s
        signals = await self._book.signals(window.provider, since, MOST_SIGNALS)
        samples = await self._book.samples(
            since - length_s, newest.at + SAMPLE_S, SAMPLE_S, simulated=False
        )
        unit = balance.limit.unit
        spent = _Spent(samples, self._plan, unit)
        readings = [
            Reading(signal, spent.between(signal.resets_at - length_s, signal.at))
            for signal in signals
            if signal.resets_at is not None
        ]
        calibration = calibrate(readings, unit, grain=spent.largest)
        gauge = calibration.gauge
        now = await self._ledger.now()
        correction = corrected_cap(
            balance.limit.cap,
            calibration,
            spent=balance.spent + balance.held,
            now=now,
            plan_only=self._plan_only,
            spent_at_gauge=_spent_at(gauge, balance, spent) if gauge else None,
        )
        return Learned(newest, calibration, correction)


def _spent_at(gauge: Gauge, balance: Balance, spent: "_Spent") -> int:
    """What had been spent of Helios's own window, which opens with Helios's first call, when the
    gauge of the provider's showed its level.
    """
    # The window opened in the midst of its first sample.
    return min(balance.spent, spent.between(balance.window.opened_at - SAMPLE_S, gauge.at))


def corrected(limit: Limit, learned: Mapping[str, Learned]) -> Limit:
    """The limit with the cap it should have now."""
    found = learned.get(limit.key)
    if found is None or found.correction.cap == limit.cap:
        return limit
    correction = found.correction
    lowered = Lowered(correction.reason, correction.until)
    return replace(limit, cap=correction.cap, lowered=lowered)


class _Spent:
    """Sums of samples over any span, in a unit."""

    def __init__(self, samples: tuple[SpendSample, ...], plan: Plan, unit: Unit) -> None:
        self._times = [sample.at for sample in samples]
        amounts = [_amount(sample, plan, unit) for sample in samples]
        self._sums = [0, *accumulate(amounts)]
        self.largest = max(amounts, default=0)

    def between(self, since: float, until: float) -> int:
        first, last = bisect_left(self._times, since), bisect_left(self._times, until)
        return self._sums[last] - self._sums[first] if last > first else 0


def _amount(sample: SpendSample, plan: Plan, unit: Unit) -> int:
    match unit:
        case Unit.MESSAGES:
            return sample.messages
        case Unit.TOKENS:
            return sample.tokens
        case Unit.MICROUSD:
            return sample.cost_microusd
        case Unit.MILLIPOINTS:
            return plan.points_of(sample.cost_microusd)


def _length_s(window: PlanWindow) -> float:
    match window.rule:
        case OpensOnUse(length_s) | Anchored(length_s=length_s):
            return length_s
        case _:
            return 24 * 3600.0
