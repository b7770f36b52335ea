"""The graph of tasks: validated once, then asked."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from heapq import heappop, heappush
from typing import Literal

from helios.domain.ids import TaskId


@dataclass(frozen=True, slots=True)
class GraphProblem:
    """Why a set of tasks is not a graph that can run.

    `task` and `need` say where; a cycle is given as its path, first task repeated at the end.
    """

    kind: Literal["unknown-need", "cycle"]
    task: TaskId
    need: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """A directed graph without cycles.

    `needs` maps each task to the tasks it waits for; `dependents` is the same read backwards.
    `order` is a topological order that keeps the order of definition wherever it may.
    """

    needs: Mapping[TaskId, tuple[TaskId, ...]]
    dependents: Mapping[TaskId, tuple[TaskId, ...]]
    order: tuple[TaskId, ...]

    def groups(self) -> tuple[tuple[TaskId, ...], ...]:
        """The tasks in waves: each wave needs only tasks of earlier waves."""
        depth: dict[TaskId, int] = {}
        for task in self.order:
            depth[task] = 1 + max((depth[need] for need in self.needs[task]), default=-1)
        waves: list[list[TaskId]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
        for task in self.order:
            waves[depth[task]].append(task)
        return tuple(tuple(wave) for wave in waves)

    def tail_lengths(self, weight: Mapping[TaskId, float]) -> dict[TaskId, float]:
        """For each task the heaviest path from its start to the end of the graph."""
        tail: dict[TaskId, float] = {}
        for task in reversed(self.order):
            after = max((tail[dependent] for dependent in self.dependents[task]), default=0.0)
            tail[task] = weight[task] + after
        return tail

    def critical_path(self, weight: Mapping[TaskId, float]) -> tuple[TaskId, ...]:
        """The heaviest path from a first task to a last one."""
        tail = self.tail_lengths(weight)
        path: list[TaskId] = []
        candidates: Iterable[TaskId] = (task for task in self.order if not self.needs[task])
        while task := max(candidates, key=lambda t: tail[t], default=None):
            path.append(task)
            candidates = self.dependents[task]
        return tuple(path)

    def downstream(self, task: TaskId) -> frozenset[TaskId]:
        """Everything that waits for this task, directly or through others."""
        found: set[TaskId] = set()
        queue = deque(self.dependents[task])
        while queue:
            current = queue.popleft()
            if current not in found:
                found.add(current)
                queue.extend(self.dependents[current])
        return frozenset(found)


def build_graph(needs: Mapping[TaskId, Iterable[TaskId]]) -> Graph | tuple[GraphProblem, ...]:
    """Validate tasks and what they need: a graph, or everything that is wrong with it."""
    wanted = {task: tuple(dict.fromkeys(of)) for task, of in needs.items()}
    problems = [
        GraphProblem("unknown-need", task, need, f"task {task!r} needs {need!r}, which is no task",
                     _did_you_mean(need, wanted))
        for task, of in wanted.items()
        for need in of
        if need not in wanted
    ]  # fmt: skip
    known = {task: tuple(need for need in of if need in wanted) for task, of in wanted.items()}
    dependents: dict[TaskId, list[TaskId]] = {task: [] for task in known}
    for task, of in known.items():
        for need in of:
            dependents[need].append(task)
    order = _topological_order(known, dependents)
    if len(order) < len(known):
        problems.extend(_cycles(known, set(known) - set(order)))
    if problems:
        return tuple(problems)
    return Graph(known, {task: tuple(after) for task, after in dependents.items()}, tuple(order))


def _topological_order(
    needs: Mapping[TaskId, tuple[TaskId, ...]], dependents: Mapping[TaskId, list[TaskId]]
) -> list[TaskId]:
    defined = list(needs)
    place = {task: number for number, task in enumerate(defined)}
    missing = {task: len(of) for task, of in needs.items()}
    # Ascending, and so a heap already.
    ready = [place[task] for task, count in missing.items() if count == 0]
    order: list[TaskId] = []
    while ready:
        task = defined[heappop(ready)]
        order.append(task)
        for dependent in dependents[task]:
            missing[dependent] -= 1
            if missing[dependent] == 0:
                heappush(ready, place[dependent])
    return order


def _cycles(
    needs: Mapping[TaskId, tuple[TaskId, ...]], tangled: set[TaskId]
) -> Iterable[GraphProblem]:
    """At least one named cycle for each knot, no two through the same task.

    Depth first along the needs: a need that is still on the path closes a circle.
    """
    left = set(tangled)
    for first in needs:
        path = {first: iter(needs[first])} if first in left else {}
        while path:
            task = next(reversed(path))
            need = next((need for need in path[task] if need in left), None)
            if need is not None and need not in path:
                path[need] = iter(needs[need])
                continue
            ended = _cut(path, task if need is None else need)
            left.difference_update(ended)
            if need is not None:
                yield _circle(ended)


def _cut(path: dict[TaskId, Iterator[TaskId]], task: TaskId) -> list[TaskId]:
    """Take the end of a path off, from this task on."""
    end: list[TaskId] = []
    while task in path:
        end.append(path.popitem()[0])
    return end[::-1]


def _circle(loop: list[TaskId]) -> GraphProblem:
    shown = " -> ".join([*loop, loop[0]])
    return GraphProblem("cycle", loop[0], loop[1 % len(loop)],
                        f"tasks wait for each other in a circle: {shown}",
                        "Remove one of these needs.")  # fmt: skip


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'Did you mean "{close[0]}"?' if close else ""
