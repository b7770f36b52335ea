"""How much a window holds, from pairs of its crossings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from helios.domain.budget.crossings import STEP, Crossing, Run

ALONE = 0.10
"""Helios is assumed to be alone on at least one stretch as long as this share of the window."""
ENOUGH = 0.50
"""That is assumed once the gauge of one window was seen to move so far, and not before."""
BRIEF = 0.05
"""Before a window is called smaller, Helios is given so short a stretch to have been alone on."""
SHARP = 1.15
"""Only pairs whose bounds are so close count for that; others would hide every change."""
MARGIN = 0.07
"""Beyond the errors of both, capacities must differ so much to contradict each other."""
_ABOUT = STEP / 2


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the whole window holds: certainly `low`, at most `high` as far as Helios was alone."""

    low: float
    likely: float
    high: float

    @property
    def conclusive(self) -> bool:
        """Whether the bars are narrow enough to decide by."""
        return math.isfinite(self.high) and self.low >= self.high / 2


@dataclass(frozen=True, slots=True)
class Pair:
    """What two crossings of one run say: the whole is at least `low`, at most `high` if alone."""

    earlier: int
    low: float
    high: float
    share: float


class Tally:
    """The strongest of many pairs: what is certain, and the most that brief stretches allow."""

    def __init__(self) -> None:
        self.low = 0.0
        self._high = -math.inf
        self._longest = 0.0
        self._proof = (0.0, 0.0)
        self.brief_high = -math.inf

    def add(self, pair: Pair) -> None:
        """Take one pair into account."""
        self.low = max(self.low, pair.low)
        self._longest = max(self._longest, pair.share)
        if math.isfinite(pair.high) and pair.low > self._proof[0]:
            self._proof = (pair.low, pair.high)
        if pair.share >= ALONE - _ABOUT:
            self._high = max(self._high, pair.high)
        if pair.share >= BRIEF - _ABOUT and pair.high <= pair.low * SHARP:
            self.brief_high = max(self.brief_high, pair.high)

    def is_larger_than(self, later: "Tally") -> bool:
        """Whether not even a brief later stretch reaches what is certain of these pairs."""
        return math.isfinite(later.brief_high) and later.brief_high < self.low * (1 - MARGIN)

    def is_smaller_than(self, later: "Tally") -> bool:
        """Whether what is certain of later pairs is more than the best of these pairs says."""
        return 0 < self._likely * (1 + MARGIN) < later.low

    @property
    def _likely(self) -> float:
        return sum(self._proof) / 2

    def capacity(self) -> Capacity | None:
        """What all pairs say together; None when none says anything."""
        if self.low <= 0:
            return None
        # An upper bound below what is certain shows that Helios was never alone.
        told = self._longest >= ENOUGH - _ABOUT and self.low <= self._high < math.inf
        high = self._high if told else math.inf
        return Capacity(self.low, min(max(self._likely, self.low), high), high)


class Trail:
    """The crossings of all runs in the order of time, and what each pair within a run says."""

    def __init__(self, runs: Sequence[Run], slack: int) -> None:
        self._at: list[float] = []
        self._pairs: list[list[Pair]] = []
        self.moved: list[float] = []
        for run in runs:
            if not run.crossings:
                continue
            base, moved = len(self._at), self.moved[-1] if self.moved else 0.0
            for place, crossing in enumerate(run.crossings):
                self._at.append(crossing.at)
                self.moved.append(moved + crossing.level - run.crossings[0].level)
                self._pairs.append(_pairs_back(run.crossings[: place + 1], base, slack))
            # The newest figures have not reached the next level yet, which bounds the whole too.
            self._pairs[-1][:0] = _below_the_next(run, base, slack)

    def __len__(self) -> int:
        return len(self._at)

    def at(self, index: int) -> float:
        """When a crossing was seen."""
        return self._at[index]

    def back(self, index: int, share: float, start: int) -> int:
        """The newest crossing that is `share` of the gauge before one; `start` - 1 if none is."""
        wanted = self.moved[index] - share + STEP * 1e-6
        while index >= start and self.moved[index] > wanted:
            index -= 1
        return index

    def tally(self, index: int, start: int, tally: Tally) -> None:
        """Add the pairs of one crossing with those since `start`."""
        for pair in self._pairs[index]:
            if pair.earlier >= start:
                tally.add(pair)

    def between(self, start: int, end: int) -> Tally:
        """All pairs of a span of crossings."""
        tally = Tally()
        for index in range(start, end):
            self.tally(index, start, tally)
        return tally


def _pairs_back(crossings: Sequence[Crossing], base: int, slack: int) -> list[Pair]:
    """The last crossing paired with those before it.

    Between two crossings the window filled by the difference of their levels, exactly; between the
    figures that showed them, give or take one step. Helios's part of that, at least, was spent.
    """
    newest = crossings[-1]
    pairs: list[Pair] = []
    for place, old in enumerate(crossings[:-1]):
        share = newest.level - old.level
        spent = newest.after - old.after
        certain = max((spent - slack) / (share + STEP), (newest.below - old.after - slack) / share)
        high = (spent + slack) / (share - STEP) if share > STEP * 1.5 else math.inf
        if old.before is not None:
            high = min(high, (newest.after - old.before + slack) / share)
        low = max(0.0, certain)
        pairs.append(Pair(base + place, low, max(low, high), share))
    return pairs


def _below_the_next(run: Run, base: int, slack: int) -> list[Pair]:
    pairs: list[Pair] = []
    for place, old in enumerate(run.crossings):
        share = run.crossings[-1].level + STEP - old.level
        low = (run.seen - old.after - slack) / share
        pairs.append(Pair(base + place, max(0.0, low), math.inf, 0.0))
    return pairs
