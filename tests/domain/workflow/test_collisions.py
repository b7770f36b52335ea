"""Which tasks may change the same files, with nobody waiting for the other."""

import time
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from helios.domain.ids import TaskId
from helios.domain.workflow.collisions import Overlap, overlaps
from tests.domain.graphs import Needs, built, reach, sound_needs

A, B, C, D = (TaskId(name) for name in "abcd")


def test_tasks_beside_each_other_that_share_a_glob() -> None:
    graph = built({A: (), B: (), C: (A,)})
    editable = {A: ["src/*"], B: ["src/*"], C: ["src/*"]}
    assert overlaps(graph, editable) == (Overlap(A, B, "src/*"),)


def test_tasks_in_a_row_are_no_overlap() -> None:
    graph = built({A: (), B: (A,), C: (B,)})
    assert overlaps(graph, {A: ["*"], C: ["*"]}) == ()


def test_a_glob_that_covers_another() -> None:
    graph = built({A: (), B: (), C: ()})
    editable = {A: ["문서/*"], B: ["문서/하나.md"], C: ["src/one.py"]}
    assert overlaps(graph, editable) == (Overlap(A, B, "문서/하나.md"),)


def test_each_pair_once_and_no_more_than_wanted() -> None:
    tasks = [TaskId(f"t{number}") for number in range(20)]
    graph = built(dict.fromkeys(tasks, ()))
    pairs = {task: [f"f{number // 2}", f"g{number // 2}"] for number, task in enumerate(tasks)}
    assert len(overlaps(graph, pairs)) == 5
    assert len(overlaps(graph, pairs, most=100)) == 10


def test_files_of_their_own_are_no_overlap() -> None:
    graph = built({A: (), B: ()})
    assert overlaps(graph, {A: ["a.py"], B: ["b.py"]}) == ()


@given(sound_needs(), st.data())
def test_something_is_found_exactly_when_two_are_beside_each_other(
    needs: Needs, data: st.DataObject
) -> None:
    editing = data.draw(st.sets(st.sampled_from(sorted(needs)))) if needs else set()
    before = reach(needs)
    beside = {
        frozenset(pair)
        for pair in combinations(editing, 2)
        if pair[0] not in before[pair[1]] and pair[1] not in before[pair[0]]
    }
    found = overlaps(built(needs), {task: ["*.py"] for task in editing})
    assert bool(found) == bool(beside)
    assert all(frozenset((one.first, one.second)) in beside for one in found)


def test_a_large_fan_out_is_looked_at_quickly() -> None:
    tasks = [TaskId(f"t{number}") for number in range(2_500)]
    graph = built(dict.fromkeys(tasks, ()))
    began = time.process_time()
    assert overlaps(graph, {task: [f"src/{task}/*"] for task in tasks}) == ()
    assert time.process_time() - began < 5
