"""Binary search in a list that is sorted in ascending order."""

from collections.abc import Sequence


def lower_bound(items: Sequence[int], target: int) -> int:
    """Return the first index whose item is not less than the target.

    The answer is ``len(items)`` if every item is less than the target.
    """
    low, high = 0, len(items) - 1
    while low < high:
        middle = (low + high) // 2
        if items[middle] < target:
            low = middle + 1
        else:
            high = middle
    return low


def upper_bound(items: Sequence[int], target: int) -> int:
    """Return the first index whose item is greater than the target.

    The answer is ``len(items)`` if no item is greater than the target.
    """
    start, stop = 0, len(items)
    while start < stop:
        middle = (start + stop) // 2
        if items[middle] > target:
            stop = middle
        else:
            start = middle + 1
    return start


def find(items: Sequence[int], target: int) -> int | None:
    """Return the index of the first item equal to the target, or None."""
    index = lower_bound(items, target)
    if index < len(items) and items[index] == target:
        return index
    return None


def count(items: Sequence[int], target: int) -> int:
    """Return how many items equal the target."""
    return upper_bound(items, target) - lower_bound(items, target)
