"""Merge sort: stable, and never slower than n log n comparisons."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def merge_sort(items: Iterable[Item], key: Callable[[Item], int]) -> list[Item]:
    """Return the items in ascending order of their keys.

    The sort is stable: items with equal keys keep the order they came in. The argument itself
    is not changed.
    """
    ordered = list(items)
    if len(ordered) < 2:
        return ordered
    middle = len(ordered) // 2
    left = merge_sort(ordered[:middle], key)
    right = merge_sort(ordered[middle:], key)
    return _merge(left, right, key)


def _merge(left: Sequence[Item], right: Sequence[Item], key: Callable[[Item], int]) -> list[Item]:
    """Merge two sorted sequences; every item of `left` came before every item of `right`."""
    merged: list[Item] = []
    i = j = 0
    while i < len(left) and j < len(right):
        if key(left[i]) < key(right[j]):
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    merged.extend(left[i:])
    merged.extend(right[j:])
    return merged
