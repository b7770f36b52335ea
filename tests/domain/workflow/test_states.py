"""The tables of states are closed, lead somewhere, and end where they say."""

import pytest

from helios.domain.workflow.states import (
    FINAL_TASK_STATES,
    RUN_TRANSITIONS,
    TASK_TRANSITIONS,
    RunState,
    TaskState,
    may_become,
    run_may_become,
)


def reachable(start: TaskState) -> set[TaskState]:
    found, left = {start}, [start]
    while left:
        for state in TASK_TRANSITIONS[left.pop()] - found:
            found.add(state)
            left.append(state)
    return found


def test_the_table_is_closed() -> None:
    assert set(TASK_TRANSITIONS) == set(TaskState)
    assert all(targets <= set(TaskState) for targets in TASK_TRANSITIONS.values())


def test_every_state_is_reachable_and_every_task_can_end_well() -> None:
    assert reachable(TaskState.WAITING) == set(TaskState)
    for state in TaskState:
        assert TaskState.DONE in reachable(state)


def test_done_is_for_ever_and_the_other_ends_lead_back_to_the_start_only() -> None:
    assert TASK_TRANSITIONS[TaskState.DONE] == frozenset()
    for state in FINAL_TASK_STATES - {TaskState.DONE}:
        assert TASK_TRANSITIONS[state] == {TaskState.WAITING}


@pytest.mark.parametrize("state", TaskState)
def test_a_state_is_final_exactly_when_the_task_has_ended(state: TaskState) -> None:
    assert state.final == (state in {TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED})


@pytest.mark.parametrize("state", RunState)
def test_a_stopped_run_has_not_ended(state: RunState) -> None:
    assert state.final == (state in {RunState.DONE, RunState.FAILED, RunState.CANCELLED})


def test_whatever_has_not_ended_can_be_cancelled() -> None:
    for state in set(TaskState) - FINAL_TASK_STATES:
        assert may_become(state, TaskState.CANCELLED)


def test_only_a_running_task_or_a_person_ends_a_task() -> None:
    before = {old for old in TaskState if TaskState.DONE in TASK_TRANSITIONS[old]}
    assert before == {TaskState.RUNNING, TaskState.NEEDS_YOU}


@pytest.mark.parametrize("old", TaskState)
@pytest.mark.parametrize("new", TaskState)
def test_a_step_is_allowed_by_the_table_or_is_no_step(old: TaskState, new: TaskState) -> None:
    assert may_become(old, new) == (old == new or new in TASK_TRANSITIONS[old])


def test_no_task_runs_before_it_is_ready() -> None:
    assert not may_become(TaskState.WAITING, TaskState.RUNNING)
    assert not may_become(TaskState.FAILED, TaskState.RUNNING)


def test_a_wish_to_cancel_a_run_is_only_ended_by_an_end() -> None:
    assert set(RUN_TRANSITIONS) == set(RunState)
    allowed = {new for new in RunState if run_may_become(RunState.CANCELLING, new)}
    assert allowed == {RunState.CANCELLING, *(state for state in RunState if state.final)}


@pytest.mark.parametrize("end", [state for state in RunState if state.final])
def test_the_end_of_a_run_stands_until_it_is_taken_up_again(end: RunState) -> None:
    assert {new for new in RunState if run_may_become(end, new)} == {end, RunState.RUNNING}


@pytest.mark.parametrize("open_state", [RunState.RUNNING, RunState.STOPPED])
def test_a_run_that_has_not_ended_can_become_anything(open_state: RunState) -> None:
    assert all(run_may_become(open_state, new) for new in RunState)
