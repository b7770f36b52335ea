"""The 0/1 knapsack: the most valuable items that fit, each taken at most once."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """Something that can be packed."""

    name: str
    weight: int
    value: int


@dataclass(frozen=True)
class Packing:
    """The best value, and the names of the items that make it, in the order given."""

    value: int
    chosen: tuple[str, ...]


def pack(items: Sequence[Item], capacity: int) -> Packing:
    """Return the most valuable choice of items whose weights add up to the capacity or less."""
    if capacity < 0 or any(item.weight <= 0 for item in items):
        raise ValueError("the capacity must not be negative, and weights must be positive")
    best = _table(items, capacity)
    chosen: list[str] = []
    room = capacity
    for row in range(len(items), 0, -1):
        if best[row][room] != best[row - 1][room]:
            chosen.append(items[row - 1].name)
            room -= items[row - 1].weight
    chosen.reverse()
    return Packing(best[len(items)][capacity], tuple(chosen))


def _table(items: Sequence[Item], capacity: int) -> list[list[int]]:
    """Return a table: row r, column c is the best value of the first r items in room c."""
    best = [[0] * (capacity + 1) for _ in range(len(items) + 1)]
    for row, item in enumerate(items, start=1):
        for room in range(capacity + 1):
            best[row][room] = best[row - 1][room]
            if item.weight <= room:
                taken = best[row][room - item.weight] + item.value
                best[row][room] = max(best[row][room], taken)
    return best
