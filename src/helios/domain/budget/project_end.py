"""When a project ends whose work does not fit into one window, and how many windows it takes.

The work, its speed and what others use of the same limit are uncertain. The first two come from
the same attempts and rise together; the others are independent of them. A grid of equally likely
cases is walked through the windows one by one; the end is read off the sorted outcomes.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from helios.domain.budget.forecast import Band
from helios.domain.budget.limit import Balance
from helios.domain.budget.window import window_at
from helios.domain.workflow.plan import Band as Remaining

CASES = 9
"""So many equally likely amounts of work, and so many of others' use: 81 walks."""
MOST_WINDOWS = 400
_SCORES = tuple(NormalDist().inv_cdf((case + 0.5) / CASES) for case in range(CASES))
_Z10 = 1.2816


@dataclass(frozen=True, slots=True)
class Others:
    """What others use of the limit in a whole window, as seen in the windows past."""

    p50: float = 0.0
    p90: float = 0.0


@dataclass(frozen=True, slots=True)
class Ending:
    """When the work is done (UTC seconds) and in how many windows, the current one counted.

    None stands for never: the windows leave no room for it, or it takes more than 400.
    """

    p10: float | None
    p50: float | None
    p90: float | None
    windows: Band | None


@dataclass(frozen=True, slots=True)
class _Case:
    """One way it can go: the work, its speed per second, and how greedy the others are."""

    work: float
    speed: float
    others: Others
    greed: float

    def others_in(self, count: int) -> float:
        """What the others take in the window of this number.

        Shares of windows are independent, so what n windows take together strays from what is
        expected with the root of n; each window adds the difference. The expected share, for a
        lognormal one, lies above the median.
        """
        step = math.sqrt(count) - math.sqrt(count - 1)
        if self.others.p50 <= 0.0:
            return _at_score(self.others, self.greed * step)
        width = math.log(max(self.others.p90, self.others.p50) / self.others.p50) / _Z10
        drift = 0.5 * width**2 * (1.0 - step**2)
        return self.others.p50 * math.exp(drift + self.greed * step * width)


@dataclass(frozen=True, slots=True)
class _End:
    at: float
    windows: float


NO_END = _End(math.inf, math.inf)


def project_end(
    work: Remaining, seconds: Remaining, balance: Balance, now: float, others: Others | None = None
) -> Ending:
    """Forecast the end of a project.

    Args:
        work: what is left to do, in the limit's unit.
        seconds: how long that takes when no limit stands in its way.
        balance: the limit's books now; later windows follow its rule, each with the whole cap.
        now: UTC seconds.
        others: what others use of this limit in a window; nobody when left out.
    """
    share = others or Others()
    cases = [_case(work, seconds, share, z, y) for z in _SCORES for y in _SCORES]
    ends = sorted((_walk(case, balance, now) for case in cases), key=lambda end: end.at)
    p10, p50, p90 = (_quantile([end.at for end in ends], q) for q in (0.1, 0.5, 0.9))
    counts = [_quantile(sorted(end.windows for end in ends), q) for q in (0.1, 0.5, 0.9)]
    windows = Band(*counts) if math.isfinite(counts[-1]) else None
    return Ending(_or_never(p10), _or_never(p50), _or_never(p90), windows)


def _case(work: Remaining, seconds: Remaining, others: Others, z: float, y: float) -> _Case:
    amount = _at_score(work, z)
    return _Case(amount, amount / max(_at_score(seconds, z), 1e-9), others, y)


def _at_score(band: Remaining | Others, z: float) -> float:
    """The amount at a normal score: lognormal through the median and the ninetieth percentile."""
    if band.p50 <= 0.0:
        return band.p90 * max(0.0, z) / _Z10
    return band.p50 * math.pow(max(band.p90, band.p50) / band.p50, z / _Z10)


def _walk(case: _Case, balance: Balance, now: float) -> _End:
    """Work at an even speed beside the others; when the window is full, wait for the next."""
    rule, left = balance.limit.window, case.work
    if left <= 0.0:
        return _End(now, 0)
    window, at = window_at(rule, balance.window, now), now
    room = balance.room if window == balance.window else balance.limit.cap
    for count in range(1, MOST_WINDOWS + 1):
        others = case.others_in(count) / (window.closes_at - window.opened_at)
        working = min(window.closes_at - at, room / (case.speed + others))
        if left <= case.speed * working:
            return _End(at + left / case.speed, count)
        if math.isinf(window.closes_at):
            break
        left -= case.speed * working
        at, room = window.closes_at, balance.limit.cap
        window = window_at(rule, window, at)
    return NO_END


def _quantile(ordered: list[float], q: float) -> float:
    """Straight between the two nearest of equally likely outcomes."""
    place = q * len(ordered) - 0.5
    low = max(0, math.floor(place))
    high = min(len(ordered) - 1, low + 1)
    if ordered[low] == ordered[high]:
        return ordered[low]
    return ordered[low] + (ordered[high] - ordered[low]) * max(0.0, place - low)


def _or_never(at: float) -> float | None:
    return at if math.isfinite(at) else None
