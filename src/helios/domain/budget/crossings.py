"""When a window's gauge moved, and what Helios had spent by then: the evidence of a calibration.

The provider shows utilization in steps of 1 %, so one figure says little. The moment at which it
moves says more: between the last figure below a level and the first one at it, that level was
crossed. Two crossings enclose a known share of the window, whichever way the provider rounds.

Figures only rise while a window is open. A lower one is stale (an idle session repeats what it
last saw, concurrent answers overtake each other) and is passed over, unless answers of the
provider itself keep saying it: then the window was emptied or enlarged, and a new run begins.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from helios.domain.budget.signal import Signal

STEP = 0.01
"""The provider's step, as a share of the window."""
SAME_WINDOW_S = 600.0
"""Reset times this close are of one window; the shortest window lasts five hours."""
FALLS = 3
"""So many lower figures in a row, from the provider itself, are believed."""
_NEARLY = STEP * 0.99


@dataclass(frozen=True, slots=True)
class Reading:
    """A figure of the provider, and what Helios had spent in that window when it arrived."""

    signal: Signal
    spent: int


@dataclass(frozen=True, slots=True)
class Crossing:
    """The gauge first showed `level` when Helios had spent `after`, and not yet at `before`.

    `before` is None where nothing was seen below the level.
    """

    level: float
    at: float
    after: int
    before: int | None = None

    @property
    def below(self) -> int:
        """The least Helios can have spent when the level was crossed."""
        return self.before or 0


@dataclass(slots=True)
class Run:
    """The crossings of one window from its opening, or from where its gauge fell."""

    resets_at: float
    crossings: list[Crossing]
    seen: int
    """What Helios had spent at the newest figure that was certainly fresh."""
    falls: int = 0

    @property
    def first(self) -> Crossing:
        """Where the run began."""
        return self.crossings[0]

    @property
    def top(self) -> Crossing:
        """The newest crossing."""
        return self.crossings[-1]


def runs_of(readings: Iterable[Reading]) -> list[Run]:
    """The runs of one window over time, the oldest first."""
    runs: list[Run] = []
    for reading in sorted(readings, key=lambda r: (r.signal.at, r.signal.used)):
        run = runs[-1] if runs else None
        resets_at = reading.signal.resets_at or (run.resets_at if run else -math.inf)
        if reading.signal.at >= resets_at:
            continue  # of a window that was over already
        if run is None or resets_at > run.resets_at + SAME_WINDOW_S:
            run = Run(resets_at, [Crossing(0.0, reading.signal.at, 0)], 0)
            runs.append(run)
        elif resets_at < run.resets_at - SAME_WINDOW_S:
            continue
        if _take(run, reading):
            signal = reading.signal
            start = Crossing(signal.used, signal.at, reading.spent)
            runs.append(Run(resets_at, [start], reading.spent))
    return runs


def _take(run: Run, reading: Reading) -> bool:
    """Add a reading to its run; True when the gauge has fallen for good."""
    used, fresh = reading.signal.used, reading.signal.source != "statusline"
    if used >= run.top.level + _NEARLY:
        run.crossings.append(Crossing(used, reading.signal.at, reading.spent, run.seen))
        run.seen = reading.spent
        run.falls = 0
    elif fresh and used > run.top.level - _NEARLY:
        run.seen = max(run.seen, reading.spent)
        run.falls = 0
    elif fresh:
        run.falls += 1
    return run.falls >= FALLS
