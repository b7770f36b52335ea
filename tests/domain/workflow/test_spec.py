"""A project as data answers by task."""

import pytest

from helios.domain.ids import TaskId
from helios.domain.workflow.spec import ProjectSpec, TaskSpec

FIRST = TaskSpec(TaskId("분석"), action="analyse")
SECOND = TaskSpec(TaskId("fix"), agent="coder", needs=(FIRST.id,))
THIRD = TaskSpec(TaskId("test"), run="pytest", needs=(SECOND.id, FIRST.id))
SPEC = ProjectSpec("정리", "goal", (FIRST, SECOND, THIRD))


def test_the_kind_names_what_carries_a_task_out() -> None:
    assert [task.kind for task in SPEC.tasks] == ["analyse", "coder", "command"]


def test_tasks_are_found_by_id_and_needs_keep_their_order() -> None:
    assert SPEC.task(SECOND.id) is SECOND
    assert list(SPEC.by_id) == ["분석", "fix", "test"]
    assert SPEC.needs == {FIRST.id: (), SECOND.id: (FIRST.id,), THIRD.id: (SECOND.id, FIRST.id)}
    with pytest.raises(KeyError):
        SPEC.task(TaskId("nobody"))
