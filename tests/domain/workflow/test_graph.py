"""The graph is sound or says everything that is wrong with it, and answers as enumeration does."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from helios.domain.ids import TaskId
from helios.domain.workflow.graph import Graph, GraphProblem, build_graph
from tests.domain.graphs import Needs, any_needs, built, names, paths, reach, sound_needs

A, B, C, D = (TaskId(name) for name in "abcd")


def problems_of(needs: Needs) -> tuple[GraphProblem, ...]:
    found = build_graph(needs)
    assert not isinstance(found, Graph)
    return found


def circles(needs: Needs) -> list[list[str]]:
    """The circles that are reported, each with its first task at the end again."""
    found = build_graph(needs)
    reported = () if isinstance(found, Graph) else found
    return [p.message.split(": ")[1].split(" -> ") for p in reported if p.kind == "cycle"]


@given(any_needs())
def test_a_graph_is_returned_exactly_when_nothing_is_wrong(needs: Needs) -> None:
    known = all(need in needs for of in needs.values() for need in of)
    acyclic = all(task not in found for task, found in reach(needs).items())
    assert isinstance(build_graph(needs), Graph) == (known and acyclic)


@given(any_needs())
def test_every_reported_circle_is_a_real_path_of_needs(needs: Needs) -> None:
    for circle in circles(needs):
        assert circle[0] == circle[-1]
        assert len(set(circle)) == len(circle) - 1
        assert all(need in needs[TaskId(task)] for task, need in pairwise(circle))


@given(any_needs())
def test_every_knot_is_reported_and_no_task_twice(needs: Needs) -> None:
    far = reach(needs)
    told = [task for circle in circles(needs) for task in circle[1:]]
    assert len(told) == len(set(told))
    for task, found in far.items():
        if task in found:
            knot = {other for other in found if task in far[other]}
            assert knot & set(told), f"nothing was said of the knot around {task}"


@given(any_needs())
def test_every_unknown_need_is_reported_once(needs: Needs) -> None:
    found = build_graph(needs)
    reported = () if isinstance(found, Graph) else found
    said = [(p.task, p.need) for p in reported if p.kind == "unknown-need"]
    assert said == [(task, "nobody") for task, of in needs.items() if "nobody" in of]


def test_an_unknown_need_comes_with_the_name_that_was_meant() -> None:
    (problem,) = problems_of({TaskId("unit-tests"): (), TaskId("report"): (TaskId("unit-test"),)})
    assert (problem.kind, problem.task, problem.need) == ("unknown-need", "report", "unit-test")
    assert "report" in problem.message
    assert "unit-test" in problem.message
    assert "unit-tests" in problem.hint


def test_no_name_is_suggested_where_none_is_close() -> None:
    (problem,) = problems_of({A: (TaskId("completely-different"),)})
    assert problem.hint == ""


def test_a_task_that_needs_itself_is_a_circle_of_one() -> None:
    (problem,) = problems_of({A: (A,)})
    assert (problem.kind, problem.task, problem.need) == ("cycle", A, A)
    assert problem.message.endswith("a -> a")
    assert problem.hint


def test_a_circle_behind_another_circle_is_reported_too() -> None:
    needs = {A: (B,), B: (A,), C: (A, D), D: (C,)}
    assert circles(needs) == [["a", "b", "a"], ["c", "d", "c"]]


def test_all_problems_are_listed_at_once() -> None:
    kinds = [problem.kind for problem in problems_of({A: (TaskId("x"), B), B: (A,), C: (C,)})]
    assert kinds == ["unknown-need", "cycle", "cycle"]


def test_what_only_waits_for_a_circle_is_not_called_one() -> None:
    assert circles({C: (A,), A: (B,), B: (A,), D: (C,)}) == [["a", "b", "a"]]


def test_a_need_said_twice_counts_once() -> None:
    graph = built({A: (), B: (A, A)})
    assert graph.needs[B] == (A,)
    assert graph.dependents[A] == (B,)


def test_no_tasks_are_a_graph() -> None:
    graph = built({})
    assert (graph.order, graph.groups(), graph.critical_path({})) == ((), (), ())


@given(sound_needs())
def test_the_order_respects_needs_and_keeps_the_definition_wherever_it_may(needs: Needs) -> None:
    expected: list[TaskId] = []
    while len(expected) < len(needs):
        done = set(expected)
        expected.append(next(t for t, of in needs.items() if t not in done and done.issuperset(of)))
    assert built(needs).order == tuple(expected)


@given(sound_needs())
def test_an_order_that_already_fits_is_left_alone(needs: Needs) -> None:
    order = built(needs).order
    assert built({task: needs[task] for task in order}).order == order


@given(sound_needs())
def test_dependents_are_needs_read_backwards(needs: Needs) -> None:
    graph = built(needs)
    for task in needs:
        assert graph.dependents[task] == tuple(t for t, of in needs.items() if task in of)


@given(sound_needs())
def test_each_wave_needs_only_earlier_waves_and_comes_as_early_as_it_can(needs: Needs) -> None:
    waves = built(needs).groups()
    depth = {task: place for place, wave in enumerate(waves) for task in wave}
    assert sorted(task for wave in waves for task in wave) == sorted(needs)
    for task, of in needs.items():
        assert depth[task] == 1 + max((depth[need] for need in of), default=-1)


@given(sound_needs(most=7), st.data())
def test_the_critical_path_is_the_heaviest_of_all_paths(needs: Needs, data: st.DataObject) -> None:
    graph = built(needs)
    weight = {task: float(data.draw(st.integers(0, 50))) for task in graph.order}

    def length(path: tuple[TaskId, ...]) -> float:
        return sum(weight[task] for task in path)

    tails = graph.tail_lengths(weight)
    for task in graph.order:
        assert tails[task] == max(map(length, paths(graph, task)))
    found = graph.critical_path(weight)
    firsts = [task for task in graph.order if not needs[task]]
    every = [path for task in firsts for path in paths(graph, task)]
    if every:
        assert found in every
        assert length(found) == max(map(length, every))


@given(sound_needs())
def test_downstream_is_everything_that_waits(needs: Needs) -> None:
    graph, far = built(needs), reach(needs)
    for task in needs:
        assert graph.downstream(task) == {other for other in needs if task in far[other]}


def test_korean_names_are_shown_as_they_are() -> None:
    first, second = names(2)
    (problem,) = problems_of({first: (second,), second: (first,)})
    assert problem.message.endswith("작업-0 -> 작업-1 -> 작업-0")
