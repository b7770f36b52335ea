"""When a window's gauge moved, and what Helios had spent by then: the evidence of a calibration.

The provider shows utilization in steps of 1 %, so one figure says little. The moment at which it
moves says more: between the last figure below a level and the first one at it, that level was
crossed. Two crossings enclose a known share of the window, whichever way the provider rounds.

The first figure of a window is where its evidence begins and proves nothing: others may have used
all it shows. A status line may repeat what was so an hour ago, so what it shows is respected and
proves nothing either: Helios's spending beside it is of another moment.

Figures only rise while a window is open. A lower one is stale (an idle session repeats what it
last saw, concurrent answers overtake each other) and is passed over, unless answers of the
provider itself keep saying it: then the window was emptied or enlarged, and a new run begins.
Where the figures have closed the window no call passes that could bring an answer, so there a
status line counts as one: what it can close it can open.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from helios.domain.budget.signal import Signal

STEP = 0.01
"""The provider's step, as a share of the window."""
SAME_WINDOW_S = 600.0
"""Reset times this close are of one window; the shortest window lasts five hours."""
FALLS = 3
"""So many lower figures in a row are believed."""
REJECTED = "rejected"
"""The status of a window that takes no more calls until it resets."""
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
    """One window from its opening, or from where its gauge fell.

    `opened` is where the gauge stood then, `top` the highest figure since, whoever showed it, when
    it was certainly true last.
    """

    resets_at: float
    opened: Crossing
    top: Crossing
    crossings: list[Crossing] = field(default_factory=list[Crossing])
    """What answers of the provider itself showed, from the first figure on."""
    seen: int = 0
    """What Helios had spent at the newest figure that was certainly fresh."""
    falls: int = 0
    rejected: bool = False
    """Whether the newest answer says that the window takes no more calls."""

    @property
    def closed(self) -> bool:
        """Whether its figures leave nothing, however much the whole is."""
        return self.rejected or self.top.level + STEP > 1 - STEP * 1e-6


def runs_of(readings: Iterable[Reading]) -> list[Run]:
    """The runs of one window over time, the oldest first."""
    runs: list[Run] = []
    for reading in sorted(readings, key=lambda r: (r.signal.at, r.signal.used)):
        signal, run = reading.signal, runs[-1] if runs else None
        resets_at = signal.resets_at or (run.resets_at if run else -math.inf)
        if signal.at >= resets_at:
            continue  # of a window that was over already
        if run is None or resets_at > run.resets_at + SAME_WINDOW_S:
            nothing = Crossing(0.0, signal.at, 0)
            run = Run(resets_at, nothing, nothing)
            runs.append(run)
        elif resets_at < run.resets_at - SAME_WINDOW_S:
            continue
        _take(run, reading)
        if run.falls >= FALLS:
            fallen_to = Crossing(signal.used, signal.at, reading.spent)
            run = Run(resets_at, fallen_to, fallen_to)
            runs.append(run)
            _take(run, reading)
    return runs


def _take(run: Run, reading: Reading) -> None:
    signal, spent = reading.signal, reading.spent
    fallen = signal.used <= run.top.level - _NEARLY
    fresh = signal.source != "statusline"
    if signal.used >= run.top.level + _NEARLY or (fresh and not fallen):
        run.top = Crossing(max(signal.used, run.top.level), signal.at, spent)
    if fresh:
        run.rejected = signal.status == REJECTED
    if fresh or run.closed:
        run.falls = run.falls + 1 if fallen and signal.status != REJECTED else 0
    if not fresh:
        return
    newest = run.crossings[-1] if run.crossings else None
    if newest is None:
        run.crossings.append(Crossing(signal.used, signal.at, spent))
    elif signal.used >= newest.level + _NEARLY:
        run.crossings.append(Crossing(signal.used, signal.at, spent, run.seen))
    if newest is None or signal.used > newest.level - _NEARLY:
        run.seen = max(run.seen, spent)
