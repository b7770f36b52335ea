"""A provider's windows of known capacity, seen through a gauge: whole percents, some stale."""

import math
import random
from dataclasses import dataclass, replace

from helios.domain.budget.crossings import Reading
from helios.domain.budget.signal import Signal

LENGTH = 18_000.0
START = 1_800_000_000.0


@dataclass(frozen=True)
class World:
    """How the simulation goes; `call` is the mean size of a call as a share of the window."""

    seed: int
    capacity: int = 40_000_000
    call: float = 0.002
    windows: int = 2
    fill: float = 0.9
    outside: float = 0.3
    stale: float = 0.1
    change: float = 1.0
    change_at: float = 1e9


@dataclass(frozen=True)
class Moment:
    """A reading, and the truth behind it."""

    reading: Reading
    capacity: float
    room: float
    outside: float
    moved: float


def live(world: World) -> list[Moment]:
    """Everything that happened, one moment for each answer or status line."""
    rng = random.Random(world.seed)
    moments: list[Moment] = []
    capacity, moved = float(world.capacity), 0.0
    for number in range(world.windows):
        opened = START + number * LENGTH * 1.3
        at, spent, outside, burst = opened, 0, 0.0, 0.0
        while spent + outside < world.fill * capacity and at < opened + LENGTH - 60:
            at += rng.uniform(5, 25)
            if burst <= 0 and rng.random() < world.outside * world.call * 3:
                burst = rng.uniform(0.02, 0.12) * capacity
            if burst > 0:
                other = min(burst, rng.expovariate(1.0) * world.call * capacity * 2)
                outside, burst = outside + other, burst - other
            cost = max(1, round(rng.expovariate(1.0) * world.call * world.capacity))
            spent += cost
            moved += cost / capacity
            if moved >= world.change_at:
                capacity = world.capacity * world.change
            share = (spent + outside) / capacity
            shown = math.floor(share * 100 + 1e-9) / 100
            signal = Signal("five_hour", shown, at, "headers", opened + LENGTH)
            true = Moment(
                Reading(signal, spent),
                capacity,
                capacity - spent - outside,
                outside / capacity,
                moved,
            )
            moments.append(true)
            if rng.random() < world.stale:
                older = rng.choice(moments[-30:]).reading.signal
                seen = replace(older, at=at + 1, source="statusline")
                moments.append(replace(true, reading=Reading(seen, spent)))
    return moments
