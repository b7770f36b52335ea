"""Topological order: every task after the tasks it needs."""

from collections.abc import Mapping


class CycleError(ValueError):
    """Some tasks need each other, directly or through others."""


def topological_order(needs: Mapping[str, set[str]]) -> list[str]:
    """Return all tasks in an order in which each comes after everything it needs.

    Tasks that become ready together come in alphabetical order, so that the answer is always
    the same. A task that is only named as a need counts as one that needs nothing.

    Raises:
        CycleError: there is no such order.
    """
    waiting = dict(needs)
    for needed in needs.values():
        for task in needed:
            waiting.setdefault(task, set())
    order: list[str] = []
    while waiting:
        ready = sorted(task for task, needed in waiting.items() if not needed)
        if not ready:
            raise CycleError("no order is possible for: " + ", ".join(sorted(waiting)))
        for task in ready:
            del waiting[task]
        for needed in waiting.values():
            needed.difference_update(ready)
        order.extend(ready)
    return order
