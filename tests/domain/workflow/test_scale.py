"""Ten thousand tasks stay cheap: a wrong complexity class is minutes, not seconds."""

import random
from time import perf_counter

import pytest

from helios.domain.ids import TaskId
from helios.domain.workflow.graph import Graph, build_graph
from helios.domain.workflow.plan import schedule_length
from helios.domain.workflow.readiness import Readiness
from tests.domain.graphs import Needs, built, chain, names

COUNT = 10_000
MOST_S = 3.0


def wide() -> Needs:
    first, *others = names(COUNT)
    return {first: (), **dict.fromkeys(others, (first,))}


def layered() -> Needs:
    draw, tasks = random.Random(5), names(COUNT)
    return {
        task: tuple(draw.sample(tasks[place - place % 100 - 100 : place - place % 100], 5))
        if place >= 100
        else ()
        for place, task in enumerate(tasks)
    }


SHAPES = {"chain": chain(COUNT), "wide": wide(), "layered": layered()}


@pytest.mark.parametrize("shape", SHAPES)
def test_ten_thousand_tasks_are_built_and_run_to_the_end_at_once(shape: str) -> None:
    began = perf_counter()
    graph = build_graph(SHAPES[shape])
    assert isinstance(graph, Graph)
    readiness = Readiness(graph)
    waves = 0
    while readiness.ready:
        waves += 1
        for task in tuple(readiness.ready):
            readiness.complete(task)
    took = perf_counter() - began
    print(f"{shape}: {took:.3f} s")
    assert waves == len(graph.groups())
    assert all(not readiness.missing(task) for task in graph.order)
    assert took < MOST_S


@pytest.mark.parametrize("shape", SHAPES)
def test_ten_thousand_tasks_are_scheduled_at_once(shape: str) -> None:
    graph = built(SHAPES[shape])
    began = perf_counter()
    length = schedule_length(graph, dict.fromkeys(graph.order, 1.0), 8)
    took = perf_counter() - began
    print(f"{shape}: {took:.3f} s")
    assert length >= COUNT / 8
    assert took < MOST_S


def circular() -> Needs:
    tasks = names(COUNT)
    return {task: (tasks[place - 1],) for place, task in enumerate(tasks)}


def pairs() -> Needs:
    tasks = names(COUNT)
    return {task: (tasks[place ^ 1],) for place, task in enumerate(tasks)}


def tangled() -> Needs:
    draw, tasks = random.Random(6), names(COUNT)
    return {task: tuple(draw.sample(tasks, 30)) for task in tasks}


@pytest.mark.parametrize(
    ("needs", "least"), [(circular(), 1), (pairs(), COUNT // 2), (tangled(), 1)]
)
def test_ten_thousand_knotted_tasks_are_refused_at_once(needs: Needs, least: int) -> None:
    began = perf_counter()
    problems = build_graph(needs)
    took = perf_counter() - began
    assert not isinstance(problems, Graph)
    assert len(problems) >= least
    assert took < MOST_S


def test_a_done_start_is_fed_at_once() -> None:
    graph = built(SHAPES["layered"])
    began = perf_counter()
    readiness = Readiness(graph, reversed(graph.order))
    assert perf_counter() - began < MOST_S
    assert readiness.ready == {}
    assert readiness.complete(TaskId(graph.order[0])) == ()
