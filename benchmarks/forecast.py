"""Score the budget forecast on traces it was not tuned on: `python benchmarks/forecast.py [DATA]`.

DATA is a folder with recorded series (cache/sweagent_turn_tokens.json, nab/*.csv.gz); without it
only the synthetic traces are scored. The straight line extrapolates spent / elapsed of the window,
its band from the spread of the window's own five-minute sums. `--tuning` scores the tuning half.

pinball: mean quantile loss at P10, P50 and P90, in % of the trace's mean use in a window.
in band: how often the truth lies in the 80 % band.
"""

import argparse
import math
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from statistics import fmean, pstdev

from usage_traces import HOUR_S, LONG_S, SYNTHETIC, Maker, recorded

from helios.domain.budget.forecast import Band, forecast_window
from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.pace import pace_of
from helios.domain.budget.project_end import Others, project_end
from helios.domain.budget.units import Unit
from helios.domain.budget.window import OpensOnUse, Window
from helios.domain.workflow.plan import Band as Remaining

WINDOW_S = 5 * HOUR_S
SPAN_S = 300.0
Z10 = 1.2816
QUANTILES = (0.1, 0.5, 0.9)
HISTORIES_H = (0, 0, 5, 24, 72)
"""Hours of use known from before the window; none in two cases of five."""
CASES_A_SEED = 4


@dataclass(frozen=True, slots=True)
class Case:
    """A moment in a window of a trace, what was known then and what came."""

    uses: tuple[tuple[float, int], ...]
    since: float
    now: float
    balance: Balance
    came: int
    exhausted_at: float
    usual: float


@dataclass(frozen=True, slots=True)
class Score:
    """How good forecasts of one kind were; `early` counts windows exhausted by the time of each
    quantile, and how often such a time was given.
    """

    pinball: float
    in_band: float
    time_pinball: float
    early: tuple[tuple[int, int], ...] = ()


def cases_of(maker: Maker, seeds: Iterable[int]) -> list[Case]:
    """Moments of every seed's trace, most of a day or more after its begin."""
    found = []
    for seed in seeds:
        trace = sorted(maker(seed))
        draws = (random.Random(1_000 * seed + number) for number in range(CASES_A_SEED))
        found += [case for draw in draws if (case := _case(trace, draw)) is not None]
    return found


def _case(trace: Sequence[tuple[float, int]], draw: random.Random) -> Case | None:
    elapsed = draw.uniform(0.3, 4.5) * HOUR_S
    opened = draw.uniform(73 * HOUR_S, LONG_S - WINDOW_S)
    now, closes = opened + elapsed, opened + WINDOW_S
    since = opened - draw.choice(HISTORIES_H) * HOUR_S
    usual = sum(amount for _, amount in trace) * WINDOW_S / LONG_S
    known = tuple(use for use in trace if since <= use[0] < now)
    if not known or not usual:
        return None
    to_come = [use for use in trace if now <= use[0] < closes]
    spent = sum(amount for at, amount in known if at >= opened)
    room = max(1, round(usual * (closes - now) / WINDOW_S * draw.uniform(0.5, 1.5)))
    sums = accumulate(amount for _, amount in to_come)
    full = (use[0] for use, total in zip(to_come, sums, strict=True) if total >= room)
    return Case(
        uses=known,
        since=since,
        now=now,
        balance=_balance(spent + room, Window(opened, closes), spent),
        came=sum(amount for _, amount in to_come),
        exhausted_at=next(full, math.inf),
        usual=usual,
    )


def _balance(cap: int, window: Window, spent: int) -> Balance:
    limit = Limit("plan", Unit.MESSAGES, cap, OpensOnUse(WINDOW_S), "plan", "plan")
    return Balance(limit, window, spent=spent)


@dataclass(frozen=True, slots=True)
class Guess:
    """The demand by the end of the window, and the times of exhaustion (infinite: not in it)."""

    demand: Band
    times: tuple[float, float, float]


def helios(case: Case) -> Guess:
    """The forecast that is scored; every case has history enough for one."""
    pace = pace_of(case.uses, now=case.now, span_s=SPAN_S, since=case.since)
    said = forecast_window(pace, case.balance, case.now)
    assert said is not None
    times = (said.exhausted.p10, said.exhausted.p50, said.exhausted.p90)
    early, middle, late = (math.inf if at is None else at for at in times)
    return Guess(said.demand, (early, middle, late))


def straight_line(case: Case) -> Guess:
    """Spent / elapsed, carried on; its band from the window's own five-minute sums."""
    window = case.balance.window
    inside = [use for use in case.uses if use[0] >= window.opened_at]
    sums = pace_of(inside, now=case.now, span_s=SPAN_S, since=window.opened_at).amounts or (0,)
    rate = case.balance.spent / (case.now - window.opened_at)
    noise = pstdev(sums) / math.sqrt(SPAN_S)
    left = window.closes_at - case.now

    def by(seconds: float, z: float) -> float:
        return max(0.0, rate * seconds + z * noise * math.sqrt(seconds))

    def when(z: float) -> float:
        steps = (left * step / 60 for step in range(1, 61))
        return next((case.now + t for t in steps if by(t, z) >= case.balance.room), math.inf)

    demand = Band(*(case.balance.spent + by(left, z) for z in (-Z10, 0.0, Z10)))
    return Guess(demand, (when(Z10), when(0.0), when(-Z10)))


def pinball(q: float, guess: float, truth: float) -> float:
    """The quantile loss (Koenker and Bassett 1978)."""
    return max(q * (truth - guess), (q - 1) * (truth - guess))


def score(cases: Iterable[Case], method: Callable[[Case], Guess]) -> Score:
    """Score one method."""
    losses, inside, times = [], [], []
    early = [[0, 0] for _ in QUANTILES]
    for case in cases:
        said = method(case)
        truth, closes = case.balance.spent + case.came, case.balance.window.closes_at
        whole = _whole(said.demand)
        losses.append(100 * _loss(whole, truth) / case.usual)
        inside.append(whole[0] <= truth <= whole[2])
        capped = [min(closes, at) for at in said.times]
        times.append(_loss(capped, min(closes, case.exhausted_at)) / 60)
        for count, at in zip(early, said.times, strict=True):
            count[0] += case.exhausted_at <= at < math.inf
            count[1] += at < math.inf
    counts = tuple((hits, given) for hits, given in early)
    return Score(fmean(losses), 100 * fmean(inside), fmean(times), counts)


def _whole(band: Band) -> tuple[int, int, int]:
    """Amounts are whole numbers, so a band ends at whole numbers."""
    return math.floor(band.p10), round(band.p50), math.ceil(band.p90)


def _loss(guesses: Sequence[float], truth: float) -> float:
    pairs = zip(QUANTILES, guesses, strict=True)
    return fmean(pinball(q, guess, truth) for q, guess in pairs)


def mix(scores: Sequence[Score]) -> Score:
    """The mean over traces, each counting the same."""
    early = tuple(
        (sum(s.early[i][0] for s in scores), sum(s.early[i][1] for s in scores)) for i in range(3)
    )
    return Score(
        fmean(s.pinball for s in scores),
        fmean(s.in_band for s in scores),
        fmean(s.time_pinball for s in scores),
        early,
    )


def project_scores(runs: int, parity: int) -> tuple[float, float, float, float]:
    """The end of a project over several windows: share in the band, pinball of the forecast and of
    the straight line (both in hours), share of window counts in the band.
    """
    ends, losses, lines, counts = [], [], [], []
    for number in range(runs):
        draw = random.Random(2 * number + parity)
        elapsed = draw.uniform(0.2, 0.9) * WINDOW_S
        cap, now = 900, 40 * WINDOW_S + elapsed
        work = Remaining(w := draw.uniform(300, 6000), w * draw.uniform(1.1, 1.6))
        length = Remaining(s := w * draw.uniform(5, 40), s * draw.uniform(1.1, 1.6))
        others = Others(o := draw.uniform(20, 400), o * draw.uniform(1.2, 2.0))
        spent = min(cap, round((w / s + o / WINDOW_S) * elapsed))
        balance = _balance(cap, Window(now - elapsed, now - elapsed + WINDOW_S), spent)
        said = project_end(work, length, balance, now, others)
        at, windows = _live_through(draw, work, length, others, balance, now)
        guesses = [math.inf if t is None else t for t in (said.p10, said.p50, said.p90)]
        ends.append(guesses[0] <= at <= guesses[2])
        losses.append(_loss(guesses, at) / HOUR_S)
        lines.append(_loss([now + w * elapsed / max(1, spent)] * 3, at) / HOUR_S)
        counts.append(
            said.windows is not None
            and math.floor(said.windows.p10) <= windows <= math.ceil(said.windows.p90)
        )
    return 100 * fmean(ends), fmean(losses), fmean(lines), 100 * fmean(counts)


def _live_through(
    draw: random.Random,
    work: Remaining,
    length: Remaining,
    others: Others,
    balance: Balance,
    now: float,
) -> tuple[float, int]:
    """One life of a project, minute by minute: others take a new share of every window."""
    z = draw.gauss(0, 1)
    left = _drawn(work, z)
    speed = 60 * left / _drawn(length, z)
    closes, room, count, at = balance.window.closes_at, float(balance.room), 1, now
    theirs = _drawn(others, draw.gauss(0, 1))
    while True:
        if at >= closes:
            closes, room, count = closes + WINDOW_S, float(balance.limit.cap), count + 1
            theirs = _drawn(others, draw.gauss(0, 1))
        room -= min(room, theirs * 60 / WINDOW_S)
        done = min(left, speed, room)
        left, room, at = left - done, room - done, at + 60
        if left <= 1e-9:
            return at, count


def _drawn(band: Remaining | Others, z: float) -> float:
    return band.p50 * math.pow(band.p90 / band.p50, z / Z10)


def latency_ms() -> float:
    """One forecast on five hours of five-minute spans, the best of thirty."""
    now = 10 * WINDOW_S
    uses = [(now - SPAN_S * number, 1 + number % 7) for number in range(1, 61)]
    pace = pace_of(uses, now=now, span_s=SPAN_S)
    balance = _balance(900, Window(now - HOUR_S, now + 4 * HOUR_S), 300)
    spans = []
    for _ in range(30):
        start = time.perf_counter()
        forecast_window(pace, balance, now)
        spans.append(time.perf_counter() - start)
    return 1000 * min(spans)


def table(makers: dict[str, Maker], seeds: Sequence[int]) -> list[str]:
    """The scores of every trace and of the mix, at most 80 columns wide."""
    lines = [
        "                     used by the window's end             exhausted",
        "              pinball, % of usual   in 80 % band, %   pinball, minutes",
        "trace   cases   helios   straight  helios  straight   helios  straight",
    ]
    pairs = []
    for name, maker in makers.items():
        cases = cases_of(maker, seeds)
        pair = score(cases, helios), score(cases, straight_line)
        pairs.append(pair)
        lines.append(_row(name, str(len(cases)), *pair))
    both = mix([ours for ours, _ in pairs]), mix([line for _, line in pairs])
    lines.append(_row("mix", "", *both))
    lines.append("")
    lines.append("Exhausted by the time given, % (and how often one was given):")
    for name, whose in zip(("helios", "straight"), both, strict=True):
        shares = [f"{100 * hits / max(1, given):.0f} ({given})" for hits, given in whose.early]
        pairs_of = zip(("P10", "P50", "P90"), shares, strict=True)
        lines.append(f"  {name:9}" + "   ".join(f"{q} {share}" for q, share in pairs_of))
    return lines


def _row(name: str, count: str, ours: Score, line: Score) -> str:
    return (
        f"{name:<11}{count:>4}{ours.pinball:>8.2f}{line.pinball:>10.2f}{ours.in_band:>9.1f}"
        f"{line.in_band:>9.1f}{ours.time_pinball:>10.2f}{line.time_pinball:>9.2f}"
    )


def main() -> None:
    options = argparse.ArgumentParser(description="Score the budget forecast.")
    options.add_argument("data", nargs="?", type=Path, help="folder with recorded series")
    options.add_argument("--tuning", action="store_true", help="score the tuning half")
    options.add_argument("--seeds", type=int, default=40)
    asked = options.parse_args()
    parity = 0 if asked.tuning else 1
    makers = dict(SYNTHETIC) | (recorded(asked.data) if asked.data else {})
    print("\n".join(table(makers, range(parity, 2 * asked.seeds, 2))))
    inside, ours, line, windows = project_scores(10 * asked.seeds, parity)
    print(
        f"\nEnd of a project over several windows ({10 * asked.seeds} simulated):\n"
        f"  in 80 % band {inside:.1f} %, pinball {ours:.2f} h, straight line {line:.2f} h,\n"
        f"  number of windows in its band {windows:.1f} %"
    )
    print(f"\nOne forecast on 60 spans: {latency_ms():.1f} ms")


if __name__ == "__main__":
    main()
