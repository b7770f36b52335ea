"""Graphs of tasks for tests, and the plainest possible answers to compare with."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from hypothesis import strategies as st

from helios.domain.ids import TaskId
from helios.domain.workflow.graph import Graph, build_graph

Needs = dict[TaskId, tuple[TaskId, ...]]


def names(count: int) -> list[TaskId]:
    return [TaskId(f"작업-{number}") for number in range(count)]


@st.composite
def sound_needs(draw: Any, most: int = 9) -> Needs:
    """Needs without circles, defined in any order."""
    tasks = names(draw(st.integers(0, most)))
    needs: Needs = {}
    for place, task in enumerate(tasks):
        earlier = st.sampled_from(tasks[:place] or tasks)
        most_needs = min(place, 4)
        needs[task] = tuple(draw(st.lists(earlier, unique=True, max_size=most_needs)))
    return {task: needs[task] for task in draw(st.permutations(tasks))}


@st.composite
def any_needs(draw: Any, most: int = 7) -> Needs:
    """Needs that may be circular, doubled, of itself or of nobody."""
    tasks = names(draw(st.integers(0, most)))
    wanted = st.sampled_from([*tasks, TaskId("nobody")])
    return {task: tuple(draw(st.lists(wanted, max_size=3))) for task in tasks}


def built(needs: Mapping[TaskId, tuple[TaskId, ...]]) -> Graph:
    graph = build_graph(needs)
    assert isinstance(graph, Graph), graph
    return graph


def chain(count: int) -> Needs:
    tasks = names(count)
    return {
        task: tuple(tasks[place - 1 : place] if place else ()) for place, task in enumerate(tasks)
    }


def reach(needs: Mapping[TaskId, tuple[TaskId, ...]]) -> dict[TaskId, set[TaskId]]:
    """For each task all it waits for, near and far: grown until nothing is new."""
    far = {task: {need for need in of if need in needs} for task, of in needs.items()}
    while True:
        more = {task: found.union(*(far[need] for need in found)) for task, found in far.items()}
        if more == far:
            return far
        far = more


def paths(graph: Graph, start: TaskId) -> Iterator[tuple[TaskId, ...]]:
    """Every path from a task to a last one."""
    if not graph.dependents[start]:
        yield (start,)
    for after in graph.dependents[start]:
        for rest in paths(graph, after):
            yield (start, *rest)


def all_outcomes(chances: list[tuple[float, ...]]) -> Iterator[tuple[tuple[int, ...], float]]:
    """Every combination of numbers of attempts, and how likely it is."""
    for attempts in product(*(range(1, len(of) + 1) for of in chances)):
        likely = 1.0
        for of, count in zip(chances, attempts, strict=True):
            likely *= of[count - 1]
        yield attempts, likely
