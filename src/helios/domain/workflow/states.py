"""The states of a task and of a run, as tables. The diagram in the docs is drawn from these."""

from collections.abc import Mapping
from enum import StrEnum


class TaskState(StrEnum):
    """Where a task stands; the words every face shows."""

    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"
    NEEDS_YOU = "needs you"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the task has ended."""
        return self in FINAL_TASK_STATES


FINAL_TASK_STATES = frozenset({TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED})

TASK_TRANSITIONS: Mapping[TaskState, frozenset[TaskState]] = {
    TaskState.WAITING: frozenset({TaskState.READY, TaskState.CANCELLED}),
    TaskState.READY: frozenset({TaskState.RUNNING, TaskState.WAITING, TaskState.CANCELLED}),
    TaskState.RUNNING: frozenset(
        {
            TaskState.DONE,
            TaskState.FAILED,
            TaskState.WAITING,
            TaskState.NEEDS_YOU,
            TaskState.CANCELLED,
        }
    ),
    TaskState.NEEDS_YOU: frozenset(
        {TaskState.READY, TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED}
    ),
    TaskState.DONE: frozenset(),
    TaskState.FAILED: frozenset({TaskState.WAITING}),
    TaskState.CANCELLED: frozenset({TaskState.WAITING}),
}
"""FAILED and CANCELLED lead back to WAITING only by a person's wish to try once more."""


class RunState(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    STOPPED = "stopped"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the run has ended; a stopped run can go on."""
        return self in (RunState.DONE, RunState.FAILED, RunState.CANCELLED)


RUN_TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    RunState.RUNNING: frozenset(RunState) - {RunState.RUNNING},
    RunState.STOPPED: frozenset(RunState) - {RunState.STOPPED},
    RunState.CANCELLING: frozenset({RunState.CANCELLED, RunState.DONE, RunState.FAILED}),
    RunState.DONE: frozenset({RunState.RUNNING}),
    RunState.FAILED: frozenset({RunState.RUNNING}),
    RunState.CANCELLED: frozenset({RunState.RUNNING}),
}
"""A wish to cancel outlives a stop: only an end takes its place. An end stands, until a person
wants to go on after all.
"""


def run_may_become(old: RunState, new: RunState) -> bool:
    """Whether the table allows this step of a run; staying is always allowed."""
    return old is new or new in RUN_TRANSITIONS[old]


def may_become(old: TaskState, new: TaskState) -> bool:
    """Whether the table allows this step; staying is always allowed, so that repeats are safe."""
    return old is new or new in TASK_TRANSITIONS[old]
