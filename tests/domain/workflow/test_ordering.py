"""The order of ready tasks: more urgent never waits for less urgent, and nothing starves."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.ids import TaskId
from helios.domain.workflow.ordering import (
    AGEING_MOST,
    DEADLINE_HORIZON_S,
    Candidate,
    in_order,
    rank,
)

NOW = 1_800_000_000.0
AGED_S = 40 * 60.0
TASK = Candidate(TaskId("a"), priority=5, ready_since=NOW, tail_s=60.0, longest_tail_s=600.0)


@st.composite
def candidates(draw: Any) -> Candidate:
    longest = draw(st.floats(0, 1e5))
    return Candidate(
        task=TaskId(draw(st.sampled_from("abcdefgh"))),
        priority=draw(st.integers(1, 10)),
        ready_since=NOW - draw(st.floats(-100, 1e5)),
        tail_s=longest * draw(st.floats(0, 1)),
        longest_tail_s=longest,
        failures=draw(st.integers(0, 10)),
        deadline=draw(st.none() | st.floats(-1e5, 1e5).map(lambda s: NOW + s)),
        position=draw(st.integers(0, 5)),
    )


@given(candidates(), st.integers(1, 9))
def test_one_more_step_of_priority_is_ten_more_points(task: Candidate, priority: int) -> None:
    lower = rank(replace(task, priority=priority), NOW).score
    assert rank(replace(task, priority=priority + 1), NOW).score == pytest.approx(lower + 10)


@given(candidates(), st.floats(-1e5, 1e5), st.floats(0, 1e5))
def test_a_sooner_deadline_never_goes_later(task: Candidate, until: float, sooner: float) -> None:
    late = rank(replace(task, deadline=NOW + until), NOW).score
    assert rank(replace(task, deadline=NOW + until - sooner), NOW).score >= late
    assert late >= rank(replace(task, deadline=None), NOW).score


@given(candidates(), st.floats(0, 1e5))
def test_waiting_never_costs_a_place(task: Candidate, more: float) -> None:
    assert rank(task, NOW + more).score >= rank(task, NOW).score - 1e-9


@given(candidates())
def test_the_score_is_the_sum_of_its_parts_and_each_part_keeps_its_bounds(task: Candidate) -> None:
    found = rank(task, NOW)
    parts = dict(found.parts)
    assert found.score == pytest.approx(sum(parts.values()))
    assert parts["priority"] == 10 * task.priority
    assert 0 <= parts["deadline"] <= 60 or parts["deadline"] == 80
    assert 0 <= parts["critical path"] <= 30 + 1e-9
    assert 0 <= parts["ageing"] <= 40
    assert parts["retry penalty"] == -min(20, 5 * task.failures)


@given(candidates(), st.integers(1, 10))
def test_nothing_starves(task: Candidate, priority: int) -> None:
    """After forty minutes a task goes before any fresh one of its kind up to three steps above."""
    waiting = replace(task, ready_since=NOW - AGED_S, deadline=None)
    fresh = replace(waiting, task=TaskId("fresh"), ready_since=NOW, priority=priority)
    first = in_order((fresh, waiting), NOW)[0]
    if priority - task.priority <= 3:
        assert first.task == waiting.task
    if priority - task.priority >= 5:
        assert first.task == fresh.task


def test_ageing_is_a_point_a_minute_and_no_more_after_forty() -> None:
    def ageing(waited_s: float) -> float:
        return dict(rank(TASK, NOW + waited_s).parts)["ageing"]

    assert [ageing(s) for s in (-60, 0, 60, 600, AGED_S, 9 * AGED_S)] == pytest.approx(
        [0, 0, 1, 10, AGEING_MOST, AGEING_MOST]
    )


@pytest.mark.parametrize(
    ("slack_s", "points"),
    [
        (DEADLINE_HORIZON_S * 2, 0.0),
        (DEADLINE_HORIZON_S, 0.0),
        (DEADLINE_HORIZON_S / 2, 30.0),
        (DEADLINE_HORIZON_S / 4, 45.0),
        (0.0, 80.0),
        (-1.0, 80.0),
    ],
)
def test_urgency_grows_as_the_slack_goes(slack_s: float, points: float) -> None:
    task = replace(TASK, deadline=NOW + TASK.tail_s + slack_s)
    assert dict(rank(task, NOW).parts)["deadline"] == pytest.approx(points)


def test_the_longest_tail_counts_thirty_and_the_others_their_share() -> None:
    def criticality(tail_s: float, longest_s: float) -> float:
        task = replace(TASK, tail_s=tail_s, longest_tail_s=longest_s)
        return dict(rank(task, NOW).parts)["critical path"]

    assert criticality(600, 600) == 30
    assert criticality(150, 600) == pytest.approx(7.5)
    assert criticality(0, 0) == 0


def test_equal_tasks_keep_the_order_of_definition() -> None:
    tasks = [replace(TASK, task=TaskId(name), position=p) for p, name in enumerate("abcd")]
    for shuffled in itertools.permutations(tasks):
        assert [found.task for found in in_order(shuffled, NOW)] == ["a", "b", "c", "d"]


@given(st.lists(candidates()))
def test_the_order_has_every_candidate_and_scores_fall(tasks: list[Candidate]) -> None:
    ranked = in_order(tuple(tasks), NOW)
    assert sorted(found.task for found in ranked) == sorted(task.task for task in tasks)
    assert [found.score for found in ranked] == sorted((f.score for f in ranked), reverse=True)
