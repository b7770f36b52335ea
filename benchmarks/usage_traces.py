"""Traces of usage to score a forecast on: synthetic ones, and recorded ones from a folder.

A trace is a list of (time in seconds, amount), four days long. Even seeds and first halves are for
tuning, odd seeds and second halves for reporting.
"""

import csv
import gzip
import json
import math
import random
from collections.abc import Callable
from pathlib import Path

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
LONG_S = 4 * DAY_S

Trace = list[tuple[float, int]]
Maker = Callable[[int], Trace]


def arrivals(draw: random.Random, rate: Callable[[float], float], most: float) -> list[float]:
    """Times of a Poisson process whose `rate` (per hour) changes with time (Lewis's thinning)."""
    found, at = [], 0.0
    while (at := at + draw.expovariate(most) * HOUR_S) < LONG_S:
        if draw.random() * most < rate(at):
            found.append(at)
    return found


def _level(draw: random.Random) -> float:
    return math.exp(draw.uniform(math.log(4), math.log(120)))


def poisson(seed: int) -> Trace:
    """Calls at a steady rate, one message each."""
    draw = random.Random(seed)
    level = _level(draw)
    return [(at, 1) for at in arrivals(draw, lambda _: level, level)]


def bursty(seed: int) -> Trace:
    """Self-exciting calls (Hawkes): each brings on 0.8 more, ten minutes later on average."""
    draw = random.Random(seed)
    level = _level(draw) / 5
    todo = arrivals(draw, lambda _: level, level)
    trace: Trace = []
    while todo:
        at = todo.pop()
        trace.append((at, 1))
        children = _poisson_count(draw, 0.8)
        later = [at + draw.expovariate(1 / 600.0) for _ in range(children)]
        todo.extend(child for child in later if child < LONG_S)
    return trace


def _poisson_count(draw: random.Random, mean: float) -> int:
    count, left = -1, 1.0
    floor = math.exp(-mean)
    while left > floor:
        left *= draw.random()
        count += 1
    return count


def diurnal(seed: int) -> Trace:
    """Busy by day, idle by night, each day at its own level."""
    draw = random.Random(seed)
    level, phase = _level(draw), draw.uniform(0, DAY_S)
    days = [draw.uniform(0.7, 1.3) for _ in range(6)]

    def rate(at: float) -> float:
        day = days[int((at + phase) // DAY_S)]
        height = max(0.0, math.sin(2 * math.pi * (at + phase) / DAY_S))
        return level * day * math.pow(height, 0.7)

    return [(at, 1) for at in arrivals(draw, rate, level * 1.3)]


def ramp(seed: int) -> Trace:
    """Steady, then from some hour on it grows or shrinks up to fourfold within ten hours."""
    draw = random.Random(seed)
    level, start = _level(draw), draw.uniform(40, 78) * HOUR_S
    factor = math.pow(4.0, draw.uniform(-1, 1))

    def rate(at: float) -> float:
        done = min(1.0, max(0.0, (at - start) / (10 * HOUR_S)))
        return level * (1 + (factor - 1) * done)

    return [(at, 1) for at in arrivals(draw, rate, level * max(1.0, factor))]


def regime(seed: int) -> Trace:
    """The rate jumps by up to a factor of six, at a random moment every nine hours or so."""
    draw = random.Random(seed)
    level = _level(draw)
    jumps = sorted(draw.uniform(0, LONG_S) for _ in range(10))
    factors = [math.pow(6.0, draw.uniform(-1, 1)) for _ in range(11)]

    def rate(at: float) -> float:
        return level * factors[sum(jump <= at for jump in jumps)]

    return [(at, 1) for at in arrivals(draw, rate, level * 6)]


def heavy(seed: int) -> Trace:
    """Steady calls whose size in tokens has a heavy tail (Pareto, alpha 1.5, capped at 500 k)."""
    draw = random.Random(seed)
    level = _level(draw)
    times = arrivals(draw, lambda _: level, level)
    return [(at, min(500_000, int(800 * draw.paretovariate(1.5)))) for at in times]


def shifts(seed: int) -> Trace:
    """Runs of agents: work for an hour or two, then nothing for a while."""
    draw = random.Random(seed)
    level, at = _level(draw), 0.0
    edges = []
    while at < LONG_S:
        begin = at + draw.expovariate(1 / (1.5 * HOUR_S))
        at = begin + draw.expovariate(1 / (1.5 * HOUR_S))
        edges.append((begin, at))

    def rate(at: float) -> float:
        return level if any(begin <= at < end for begin, end in edges) else 0.0

    return [(at, 1) for at in arrivals(draw, rate, level)]


SYNTHETIC: dict[str, Maker] = {
    "poisson": poisson,
    "bursty": bursty,
    "diurnal": diurnal,
    "ramp": ramp,
    "regime": regime,
    "heavy": heavy,
    "shifts": shifts,
}


def recorded(data: Path) -> dict[str, Maker]:
    """Makers over the recorded series of a data folder; none when the folder has none."""
    makers: dict[str, Maker] = {}
    turns = data / "cache" / "sweagent_turn_tokens.json"
    if turns.exists():
        makers["sweagent"] = _agents(json.loads(turns.read_text(encoding="utf-8")))
    for file in sorted((data / "nab").glob("*.csv.gz")):
        makers["nab " + file.name.removesuffix(".csv.gz")[-6:]] = _load(file)
    return makers


def _agents(runs: list[dict[str, list[list[int]]]]) -> Maker:
    """Recorded runs, begun by a Poisson process; a turn takes half a minute and sends all again."""

    def trace(seed: int) -> Trace:
        draw = random.Random(seed)
        level = math.exp(draw.uniform(math.log(0.7), math.log(12)))
        found: Trace = []
        for start in arrivals(draw, lambda _: level, level):
            at, context = start, 0
            for sent, answered in draw.choice(runs[seed % 2 :: 2])["turns"]:
                at += draw.expovariate(1 / 30.0)
                context += sent + answered
                found.append((at, context))
        return found

    return trace


def _load(file: Path) -> Maker:
    """A CPU series as load: a thousandth of a per cent is one unit; seeds differ in the start."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        values = [float(row["value"]) for row in csv.DictReader(lines)]

    def trace(seed: int) -> Trace:
        half = len(values) // 2
        mine = values[half:] if seed % 2 else values[:half]
        spare = len(mine) - int(LONG_S / 300)
        first = random.Random(seed).randrange(max(1, spare))
        taken = mine[first : first + int(LONG_S / 300)]
        return [(number * 300.0 + 150.0, round(value * 1000)) for number, value in enumerate(taken)]

    return trace
