"""Half-open intervals: (start, end) covers start, and everything up to but without end."""

from collections.abc import Iterable

Interval = tuple[int, int]


def merge_intervals(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the fewest intervals that cover the same numbers, in ascending order.

    Intervals that overlap become one, and so do intervals that touch: (1, 3) and (3, 5)
    together are (1, 5). Empty intervals are left out.
    """
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if merged and start < merged[-1][1]:
            first, last = merged[-1]
            merged[-1] = (first, max(last, end))
        else:
            merged.append((start, end))
    return merged


def insert_interval(intervals: Iterable[Interval], added: Interval) -> list[Interval]:
    """Return the merged intervals after one more has been added."""
    return merge_intervals([*intervals, added])


def covered(intervals: Iterable[Interval]) -> int:
    """Return how many whole numbers the intervals cover; none is counted twice."""
    return sum(end - start for start, end in merge_intervals(intervals))
