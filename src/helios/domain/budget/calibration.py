"""What the provider's gauge means in Helios's own units, learned from both moving together.

The provider tells how full a window is, in whole percents, and never how much it holds. Helios
knows what it spent itself, and not what was spent beside it. From the crossings of one window:

- low    = the largest of (Helios's spending between two crossings) / (share between them).
           Certain as long as the capacity stands: use outside Helios only makes ratios smaller.
- high   = the largest upper bound of stretches of at least ALONE of the window. Assumes that Helios
           was alone on at least one such stretch. Infinite until the gauge of one window was seen
           to move by ENOUGH: of less, others may have moved all.
- likely = the middle of the stretch that proves `low`.

Until then, and where Helios's spending is coarser than a step of the gauge, the window holds what
was set. The share that the provider shows is respected from the first figure on: what is left is
the rest of the window, whoever used the share. So the first figure closes nothing but at 100 %.

Use outside Helios is recognised as such where it pauses; use that accompanies all of Helios's
spending in a fixed proportion cannot be told from a smaller window, and is treated as one, which
errs on the safe side. Amounts that the provider counts and Helios does not see yet (calls in
flight) are `slack`.

A drift is announced when all of the newest LASTING of the gauge contradicts at least as much that
was seen before, beyond the error of both; what came before is then forgotten. Earlier, after ALONE,
the safe figure already follows the smaller of the two.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from helios.domain.budget.crossings import STEP, Reading, Run, runs_of
from helios.domain.budget.evidence import ENOUGH, Capacity, Tally, Trail
from helios.domain.budget.preset import share_of_cap
from helios.domain.budget.signal import Signal
from helios.domain.budget.units import Unit, show

LASTING = 0.75
"""The share of a window's gauge over which a change must show before it is called one."""
CHECK_EVERY = 0.02
"""Shares of the gauge between two looks for a drift."""


@dataclass(frozen=True, slots=True)
class Outside:
    """The share of the window (0..1) that was used outside Helios since it opened."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True, slots=True)
class Drift:
    """The capacity moved from one figure to another; seen at `since` (UTC seconds) or earlier."""

    before: Capacity
    after: Capacity
    since: float

    def sentence(self, unit: Unit) -> str:
        """The alarm in words, without the time."""
        change = self.after.likely / self.before.likely - 1
        return (
            f"the window holds {show(unit, round(self.after.likely))}, "
            f"{change:+.0%} against {show(unit, round(self.before.likely))} before"
        )


@dataclass(frozen=True, slots=True)
class Gauge:
    """The newest level of the window that is open: true at `at`, Helios having spent so."""

    level: float
    at: float
    spent: int
    resets_at: float
    rejected: bool = False

    @property
    def full(self) -> bool:
        """Whether the provider takes no more calls in this window."""
        return self.rejected or self.level >= 1


@dataclass(frozen=True, slots=True)
class Room:
    """What is left in the window for Helios, in the calibration's unit."""

    safe: int
    likely: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """All that the signals of one window teach.

    `safe_whole` is the capacity to rely on where it is `measured`; `gauge` and `outside` are of the
    newest window, which may have closed since.
    """

    unit: Unit
    capacity: Capacity | None = None
    safe_whole: float = 0.0
    gauge: Gauge | None = None
    outside: Outside | None = None
    drift: Drift | None = None
    overage: bool = False
    measured: bool = False

    def room(self, *, spent: int, now: float) -> Room | None:
        """What is left when Helios has spent so much in the open window; None without a figure."""
        if self.gauge is None or now >= self.gauge.resets_at:
            return None
        since = max(0, spent - self.gauge.spent)
        likely_whole = self.capacity.likely if self.capacity else 0.0
        safe = math.floor(max(0.0, 1 - self.gauge.level - STEP) * self.safe_whole)
        likely = math.floor(max(0.0, 1 - self.gauge.level - STEP / 2) * likely_whole)
        return Room(max(0, safe - since), max(0, safe - since, likely - since))


@dataclass(frozen=True, slots=True)
class CorrectedCap:
    """The ceiling a limit should have now, why, and until when (seconds since 1970, UTC)."""

    cap: int
    reason: str
    until: float = math.inf


def calibrate(
    readings: Iterable[Reading], unit: Unit, *, slack: int = 0, grain: int = 0
) -> Calibration:
    """Learn from the signals of one window, of any number of its turns.

    Args:
        readings: signals and what Helios had spent, in `unit`, since that window opened.
        unit: what is counted. Cost fits best: it weighs models as the provider does.
        slack: the most that may be in flight, counted by one side and not yet by the other.
        grain: the most that Helios spends at once. A window in which that moves the gauge by more
            than a step is too small to be told from use outside Helios.
    """
    known = tuple(readings)
    runs = runs_of(known)
    if not runs:
        return Calibration(unit, overage=in_overage(r.signal for r in known))
    trail = Trail(runs, slack)
    drift, start = _latest_drift(trail)
    capacity = trail.between(start, len(trail)).capacity()
    last = runs[-1]
    return Calibration(
        unit=unit,
        capacity=capacity,
        safe_whole=_safe_whole(trail, start, capacity),
        measured=bool(capacity and capacity.conclusive and capacity.low * STEP >= grain),
        gauge=Gauge(
            last.top.level, last.top.at, last.top.after, last.resets_at, rejected=last.rejected
        ),
        outside=_outside(last, capacity),
        drift=replace(drift, after=capacity) if drift and capacity else drift,
        overage=in_overage(r.signal for r in known if _tells_of_overage(r.signal, last)),
    )


def _tells_of_overage(signal: Signal, run: Run) -> bool:
    """What status lines claimed before the window was opened again is taken back with it."""
    return signal.source != "statusline" or signal.at >= run.opened.at


def in_overage(signals: Iterable[Signal]) -> bool:
    """Whether the newest of these signals, of any windows of an account, tell of paid overage.

    A status line does not know, but for a gauge above 100 %.
    """
    telling = [s for s in signals if s.source != "statusline" or s.used > 1]
    newest = max((s.at for s in telling), default=0.0)
    return any(s.at == newest and (s.overage or s.used > 1) for s in telling)


def corrected_cap(
    limit_cap: int,
    learned: Calibration,
    *,
    spent: int,
    now: float,
    plan_only: bool = True,
    spent_at_gauge: int | None = None,
) -> CorrectedCap:
    """The ceiling with which spending through Helios stays inside the provider's window.

    Never above `limit_cap`, never below what is spent already, and never higher for a fuller gauge
    or a smaller window. Where the window is not measured, never below what the provider's share
    leaves of `limit_cap`.

    Args:
        limit_cap: the ceiling as it was set.
        learned: the calibration of the window the limit counts in, in the limit's unit.
        spent: what Helios has spent and holds in the limit's own window.
        now: the time, UTC seconds.
        plan_only: refuse to spill into paid overage.
        spent_at_gauge: what of `spent` had been spent when the gauge showed its level; None where
            the limit's own window opened with the provider's.
    """
    floor = min(spent, limit_cap)
    gauge = learned.gauge
    is_open = gauge is not None and now < gauge.resets_at
    if learned.overage and (is_open or gauge is None):
        if plan_only:
            return CorrectedCap(floor, "the window is in paid overage, and plan-only forbids it")
        return CorrectedCap(limit_cap, "the window is in paid overage, which is allowed")
    if gauge is not None and is_open:
        before = gauge.spent if spent_at_gauge is None else spent_at_gauge
        told = _as_gauged(limit_cap, learned, replace(gauge, spent=before))
        told = replace(told, until=gauge.resets_at)
    else:
        whole, holds = _whole(limit_cap, learned)
        told = CorrectedCap(min(limit_cap, whole), f"no figure of the open window yet; {holds}")
    return replace(told, cap=max(floor, told.cap))


def _as_gauged(limit_cap: int, learned: Calibration, gauge: Gauge) -> CorrectedCap:
    """What the newest figure of the open window leaves, beside what was spent before it."""
    unit = learned.unit
    if gauge.full:
        shown = "refuses calls" if gauge.rejected else f"shows {gauge.level:.0%}"
        return CorrectedCap(0, f"the provider {shown}: the window is closed until it resets")
    whole, holds = _whole(limit_cap, learned)
    # The gauge rounds down, which is little as long as the whole is only supposed.
    used = gauge.level + STEP if learned.measured else gauge.level
    left = share_of_cap(whole, max(0.0, 1 - used))
    cap = min(limit_cap, gauge.spent + left)
    if cap == limit_cap:
        return CorrectedCap(cap, f"the provider shows {gauge.level:.0%}, {holds}: room enough")
    return CorrectedCap(
        cap,
        f"the provider shows {gauge.level:.0%} when Helios had spent "
        f"{show(unit, gauge.spent)}; {holds}, so {show(unit, left)} were left",
    )


def _whole(limit_cap: int, learned: Calibration) -> tuple[int, str]:
    """What the window is taken to hold, and that in words."""
    if not learned.measured:
        return limit_cap, "what the window holds is not learned yet and taken as set"
    whole = math.floor(learned.safe_whole)
    return whole, f"the window holds at least {show(learned.unit, whole)}"


def _latest_drift(trail: Trail) -> tuple[Drift | None, int]:
    """The newest change, and the first crossing of the capacity that holds now."""
    drift, start, checked = None, 0, 0.0
    settled, settled_to = Tally(), 0
    for newest in range(len(trail)):
        if trail.moved[newest] - checked < CHECK_EVERY:
            continue
        checked = trail.moved[newest]
        turn = trail.back(newest, LASTING, start)
        if turn < start or trail.moved[turn] - trail.moved[start] < LASTING:
            continue
        for crossing in range(settled_to, turn + 1):
            trail.tally(crossing, start, settled)
        settled_to = turn + 1
        # Pairs that straddle a change prove nothing: to have grown, the window must show it in the
        # half that is older already, and what is learned from now on begins with the newer half.
        half = trail.back(newest, LASTING / 2, start)
        shrunk = settled.is_larger_than(trail.between(turn, newest + 1))
        if not shrunk and not settled.is_smaller_than(trail.between(turn, half + 1)):
            continue
        before, after = settled.capacity(), trail.between(half, newest + 1).capacity()
        if before and before.conclusive and after:
            drift = Drift(before, after, trail.at(turn))
            start, settled, settled_to = half, Tally(), half
    return drift, start


def _safe_whole(trail: Trail, start: int, capacity: Capacity | None) -> float:
    if capacity is None:
        return 0.0
    turn = trail.back(len(trail) - 1, ENOUGH, start)
    recent = trail.between(turn, len(trail)).capacity() if turn >= start else None
    return min(capacity.low, recent.low) if recent and recent.high < capacity.low else capacity.low


def _outside(run: Run, capacity: Capacity | None) -> Outside:
    grown, spent = run.top.level - run.opened.level, run.top.after - run.opened.after
    if capacity is None:
        return Outside(0.0, 0.0, grown + STEP) if spent else Outside(grown, grown, grown + STEP)
    low = max(0.0, grown - spent / capacity.low)
    high = max(low, grown + STEP - spent / capacity.high)
    likely = grown + STEP / 2 - spent / capacity.likely
    return Outside(low, min(max(low, likely), high), high)
