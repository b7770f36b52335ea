"""The record's values as rows, and back."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from helios.domain.budget.spend import Spend
from helios.domain.ids import ProjectId, RequestId, RunId, TaskId
from helios.domain.usage import Usage
from helios.domain.workflow.states import RunState, TaskState
from helios.ports.events import RunEvent
from helios.ports.runs import AttemptRecord, CallRecord, NewRun, RunRecord, TaskRecord

Row = Mapping[str, Any]


def run_row(run: RunRecord) -> dict[str, Any]:
    """A run to insert."""
    return {
        "id": run.id,
        "project": run.project,
        "number": run.number,
        "name": run.name,
        "path": run.path,
        "spec": run.spec,
        "spec_digest": run.spec_digest,
        "state": run.state.value,
        "reason": "",
        "provider": run.provider,
        "simulated": run.simulated,
        "sandbox": run.sandbox,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
    }


def run_from(row: Row) -> RunRecord:
    """A run as it is stored."""
    return RunRecord(
        id=RunId(row["id"]),
        project=ProjectId(row["project"]),
        number=row["number"],
        name=row["name"],
        path=row["path"],
        spec=row["spec"],
        spec_digest=row["spec_digest"],
        state=RunState(row["state"]),
        provider=row["provider"],
        simulated=row["simulated"],
        sandbox=row["sandbox"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
    )


def first_run(new: NewRun, run: RunId, number: int, now: float) -> RunRecord:
    """A run that begins."""
    return RunRecord(
        id=run,
        project=new.project,
        number=number,
        name=new.name,
        path=new.path,
        spec=new.spec,
        spec_digest=new.spec_digest,
        state=RunState.RUNNING,
        provider=new.provider,
        simulated=new.simulated,
        sandbox=new.sandbox,
        created_at=now,
    )


def new_task_rows(new: NewRun, run: RunId) -> list[dict[str, Any]]:
    """The tasks of a new run, all waiting, in order of definition."""
    return [
        {"run": run, "id": task, "position": position}
        | task_row(TaskRecord(task, TaskState.WAITING, ""))
        for position, task in enumerate(new.tasks)
    ]


def task_row(task: TaskRecord) -> dict[str, Any]:
    """What of a task may change."""
    return {
        "state": task.state.value,
        "reason": task.reason,
        "attempts": task.attempts,
        "commit_id": task.commit,
        "ready_at": task.ready_at,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
        "not_before": task.not_before,
        "output": task.output,
    }


def task_from(row: Row) -> TaskRecord:
    """A task as it is stored."""
    return TaskRecord(
        id=TaskId(row["id"]),
        state=TaskState(row["state"]),
        reason=row["reason"],
        attempts=row["attempts"],
        commit=row["commit_id"],
        ready_at=row["ready_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        not_before=row["not_before"],
        output=row["output"],
    )


def moved(
    task: TaskRecord,
    to: TaskState,
    reason: str,
    *,
    now: float,
    commit: str | None,
    not_before: float | None,
    output: str | None,
) -> TaskRecord:
    """A task after a move; equal to what it was when the move is a repeat.

    `ready_at` is when the present stay began, `started_at` when the task first ran.
    """
    stays = to is task.state
    is_first_start = to is TaskState.RUNNING and task.started_at is None
    ended = task.finished_at if stays else now
    kept = task.not_before if stays else None
    return replace(
        task,
        state=to,
        reason=reason,
        commit=task.commit if commit is None else commit,
        output=task.output if output is None else output,
        ready_at=now if to is TaskState.READY and not stays else task.ready_at,
        started_at=now if is_first_start else task.started_at,
        finished_at=ended if to.final else None,
        not_before=kept if not_before is None else not_before,
    )


def attempt_row(run: RunId, attempt: AttemptRecord) -> dict[str, Any]:
    """An attempt to insert or to replace."""
    return {
        "run": run,
        "task": attempt.task,
        "number": attempt.number,
        "model": attempt.model,
        "choice": dict(attempt.choice),
        "failure": attempt.failure,
        "detail": attempt.detail,
        "started_at": attempt.started_at,
        "finished_at": attempt.finished_at,
    }


def attempt_from(row: Row) -> AttemptRecord:
    """An attempt as it is stored."""
    return AttemptRecord(
        task=TaskId(row["task"]),
        number=row["number"],
        model=row["model"],
        choice=row["choice"],
        failure=row["failure"],
        detail=row["detail"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def call_row(call: CallRecord) -> dict[str, Any]:
    """A call to insert."""
    return {
        "request": call.request,
        "run": call.run,
        "task": call.task,
        "attempt": call.attempt,
        "model": call.model,
        "tier": call.tier,
        "provider": call.provider,
        "simulated": call.simulated,
        "input_tokens": call.usage.input_tokens,
        "output_tokens": call.usage.output_tokens,
        "cache_write_tokens": call.usage.cache_write_tokens,
        "cache_read_tokens": call.usage.cache_read_tokens,
        "cost_microusd": call.cost_microusd,
        "started_at": call.started_at,
        "finished_at": call.finished_at,
        "reply": call.reply,
        "agent": call.agent,
        "account": call.account,
    }


def call_from(row: Row) -> CallRecord:
    """A call as it is stored."""
    return CallRecord(
        request=RequestId(row["request"]),
        run=RunId(row["run"]),
        task=TaskId(row["task"]),
        attempt=row["attempt"],
        model=row["model"],
        tier=row["tier"],
        provider=row["provider"],
        simulated=row["simulated"],
        usage=Usage(
            row["input_tokens"],
            row["output_tokens"],
            row["cache_write_tokens"],
            row["cache_read_tokens"],
        ),
        cost_microusd=row["cost_microusd"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        reply=row["reply"],
        agent=row["agent"],
        account=row["account"],
    )


def spend_of(call: CallRecord, project: ProjectId) -> Spend:
    """What a call of a run of this project spent."""
    return Spend(
        request_id=call.request,
        at=call.finished_at,
        model=call.model,
        tier=call.tier,
        usage=call.usage,
        cost_microusd=call.cost_microusd,
        simulated=call.simulated,
        source="run",
        account=call.account,
        project=project,
        task=call.task,
        agent=call.agent,
    )


def event_row(event: RunEvent) -> dict[str, Any]:
    """An event to append."""
    return {
        "run": event.run,
        "task": event.task,
        "kind": event.kind,
        "at": event.at,
        "data": dict(event.data),
    }


def event_from(row: Row) -> RunEvent:
    """An event as it is stored."""
    return RunEvent(
        run=RunId(row["run"]),
        kind=row["kind"],
        at=row["at"],
        task=row["task"],
        data=row["data"],
        seq=row["seq"],
    )
