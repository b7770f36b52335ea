"""The record of runs on SQL."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Select, func, insert, or_, select, update

from helios.domain.ids import ProjectId, RequestId, RunId, TaskId, run_id
from helios.domain.workflow.retries import MODEL_FAULT
from helios.domain.workflow.states import RunState, TaskState, may_become, run_may_become
from helios.errors import ConflictError
from helios.ports.clock import Clock
from helios.ports.events import EventSink, RunEvent
from helios.ports.runs import AttemptRecord, CallRecord, NewRun, RunRecord, TaskRecord
from helios.stores.sql import run_rows as rows
from helios.stores.sql.database import Database
from helios.stores.sql.journal import Journal, find_task
from helios.stores.sql.schema import attempts, calls, run_events, runs, tasks
from helios.stores.sql.spending import add_spend

T = TypeVar("T")
log = structlog.get_logger("helios.system")


class SqlRunStore:
    """`ports.runs.RunStore` on SQLite or PostgreSQL."""

    def __init__(self, database: Database, clock: Clock, sink: EventSink | None = None) -> None:
        """Keep the record in `database`; `sink` hears of every event once it is committed."""
        self._database = database
        self._clock = clock
        self._sink = sink

    async def create_run(self, new: NewRun) -> RunRecord:
        """Number and store a run with all its tasks waiting."""

        def create(journal: Journal) -> RunRecord:
            number = _next_number(journal.connection, new.project)
            run = rows.first_run(new, run_id(new.project, number), number, journal.now)
            journal.connection.execute(insert(runs), rows.run_row(run))
            if new.tasks:
                journal.connection.execute(insert(tasks), rows.new_task_rows(new, run.id))
            journal.note(run.id, "run", {"state": run.state.value, "reason": ""})
            return run

        return await self._write(create, repeatable=False)

    async def run(self, run: RunId) -> RunRecord | None:
        """One run."""
        return await self._first(select(runs).where(runs.c.id == run), rows.run_from)

    async def latest_run(self, project: ProjectId) -> RunRecord | None:
        """The newest run of a project."""
        newest = select(runs).where(runs.c.project == project).order_by(runs.c.number.desc())
        return await self._first(newest.limit(1), rows.run_from)

    async def runs(self, most: int = 50) -> tuple[RunRecord, ...]:
        """The newest runs of all projects, the newest first."""
        return await self._all(select(runs).order_by(runs.c.seq.desc()).limit(most), rows.run_from)

    async def set_run_state(self, run: RunId, state: RunState, reason: str = "") -> RunState:
        """Move a run along the table; leaves an event. The state it is in then.

        What the table does not allow changes nothing: somebody else was first.

        Raises:
            ConflictError: there is no such run.
        """

        def move(journal: Journal) -> RunState:
            before = journal.lock_run(run)
            stands = RunState(before[0])
            if before == (state.value, reason) or not run_may_become(stands, state):
                return stands
            values: dict[str, Any] = {"state": state.value, "reason": reason}
            if before[0] != state.value:
                values["finished_at"] = journal.now if state.final else None
            journal.connection.execute(update(runs).where(runs.c.id == run).values(values))
            journal.note(run, "run", {"state": state.value, "reason": reason})
            return state

        return await self._write(move)

    async def tasks(self, run: RunId) -> tuple[TaskRecord, ...]:
        """All tasks of a run in order of definition."""
        found = select(tasks).where(tasks.c.run == run).order_by(tasks.c.position)
        return await self._all(found, rows.task_from)

    async def task(self, run: RunId, task: TaskId) -> TaskRecord:
        """One task.

        Raises:
            ConflictError: there is no such task.
        """
        return await self._database.read(lambda connection: find_task(connection, run, task))

    async def move_task(
        self,
        run: RunId,
        task: TaskId,
        to: TaskState,
        reason: str,
        *,
        commit: str | None = None,
        not_before: float | None = None,
        output: str | None = None,
    ) -> TaskRecord:
        """Move a task along the table, with its reason; the reason alone may change too.

        `commit` and `output` stay as they are unless given; `not_before` ends with the stay.

        Raises:
            ConflictError: the table does not allow this step, or there is no such task.
        """

        def move(journal: Journal) -> TaskRecord:
            journal.lock_run(run)
            before = journal.task(run, task)
            if not may_become(before.state, to):
                raise ConflictError(
                    f"task {task} is {before.state} and cannot become {to}",
                    next_step="Look at the task again; somebody may have moved it.",
                )
            after = rows.moved(
                before,
                to,
                reason,
                now=journal.now,
                commit=commit,
                not_before=not_before,
                output=output,
            )
            if after != before:
                journal.change_task(run, after)
                journal.note(run, "task", _task_event(before, after), task)
            return after

        return await self._write(move)

    async def save_attempt(self, run: RunId, attempt: AttemptRecord) -> None:
        """Store or replace an attempt; leaves an event when it is new and when it ends.

        Raises:
            ConflictError: there is no such task.
        """

        def save(journal: Journal) -> None:
            journal.lock_run(run)
            task = journal.task(run, attempt.task)
            this = (
                (attempts.c.run == run)
                & (attempts.c.task == attempt.task)
                & (attempts.c.number == attempt.number)
            )
            row = rows.attempt_row(run, attempt)
            stored = journal.connection.execute(select(attempts.c.finished_at).where(this)).first()
            if stored is None:
                journal.connection.execute(insert(attempts), row)
                journal.note(run, "attempt", _attempt_event(attempt, "running"), attempt.task)
            else:
                journal.connection.execute(update(attempts).where(this).values(row))
            if attempt.finished_at is not None and (stored is None or stored.finished_at is None):
                state = "failed" if attempt.failure else "succeeded"
                journal.note(run, "attempt", _attempt_event(attempt, state), attempt.task)
            if attempt.number > task.attempts:
                journal.change_task(run, replace(task, attempts=attempt.number))

        await self._write(save)

    async def attempts(self, run: RunId, task: TaskId | None = None) -> tuple[AttemptRecord, ...]:
        """Attempts in order, of one task or of all."""
        found = select(attempts).where(attempts.c.run == run)
        if task is None:
            found = found.order_by(attempts.c.seq)
        else:
            found = found.where(attempts.c.task == task).order_by(attempts.c.number)
        return await self._all(found, rows.attempt_from)

    async def save_call(self, call: CallRecord) -> None:
        """Store a call and what it spent, once and in one commit; a repeat changes nothing.

        Raises:
            ConflictError: there is no such task.
        """

        def save(journal: Journal) -> None:
            journal.lock_run(call.run)
            journal.task(call.run, call.task)
            this = select(calls.c.seq).where(calls.c.request == call.request)
            if journal.connection.execute(this).first() is None:
                journal.connection.execute(insert(calls), rows.call_row(call))
                of_run = select(runs.c.project).where(runs.c.id == call.run)
                project = ProjectId(journal.connection.execute(of_run).scalar_one())
                add_spend(journal.connection, rows.spend_of(call, project))
                journal.note(call.run, "call", _call_event(call), call.task)

        await self._write(save)

    async def call(self, request: RequestId) -> CallRecord | None:
        """One call."""
        return await self._first(select(calls).where(calls.c.request == request), rows.call_from)

    async def calls(self, run: RunId) -> tuple[CallRecord, ...]:
        """All calls of a run, the oldest first."""
        found = select(calls).where(calls.c.run == run).order_by(calls.c.seq)
        return await self._all(found, rows.call_from)

    async def add_event(self, event: RunEvent) -> RunEvent:
        """Store a fact that belongs to no move; answers with its number.

        Raises:
            ConflictError: there is no such run.
        """

        def add(journal: Journal) -> RunEvent:
            journal.lock_run(event.run)
            return journal.add(event)

        return await self._write(add, repeatable=False)

    async def events(self, run: RunId, after: int = 0, most: int = 1000) -> tuple[RunEvent, ...]:
        """Events of a run with a higher number than `after`, in order."""
        found = (
            select(run_events)
            .where(run_events.c.run == run, run_events.c.seq > after)
            .order_by(run_events.c.seq)
            .limit(most)
        )
        return await self._all(found, rows.event_from)

    async def outcomes(self, *, simulated: bool) -> tuple[tuple[str, str, bool], ...]:
        """Every ended agent attempt as (task type, model, succeeded), the oldest first.

        Of simulated runs or of the others: a simulator's answers teach nothing about models.
        Failures that are not the model's fault teach nothing about it and are left out.
        """
        found = (
            select(attempts.c.choice, attempts.c.model, attempts.c.failure)
            .join(runs, runs.c.id == attempts.c.run)
            .where(
                runs.c.simulated.is_(simulated),
                attempts.c.finished_at.is_not(None),
                attempts.c.model.is_not(None),
                or_(
                    attempts.c.failure.is_(None),
                    attempts.c.failure.in_(sorted(fault.value for fault in MODEL_FAULT)),
                ),
            )
            .order_by(attempts.c.finished_at, attempts.c.seq)
        )
        ended = await self._database.read(lambda connection: connection.execute(found).all())
        return tuple(
            (choice["task_type"], model, failure is None)
            for choice, model, failure in ended
            if "task_type" in choice
        )

    async def _first(self, query: Select[Any], record: Callable[[rows.Row], T]) -> T | None:
        found = await self._all(query, record)
        return found[0] if found else None

    async def _all(self, query: Select[Any], record: Callable[[rows.Row], T]) -> tuple[T, ...]:
        found = await self._database.read(lambda connection: connection.execute(query).all())
        return tuple(record(row._asdict()) for row in found)

    async def _write(self, work: Callable[[Journal], T], *, repeatable: bool = True) -> T:
        """Commit, then tell; a caller that is cancelled meanwhile stops neither."""
        return await asyncio.shield(self._commit_and_tell(work, repeatable=repeatable))

    async def _commit_and_tell(self, work: Callable[[Journal], T], *, repeatable: bool) -> T:
        def transaction(connection: Connection) -> tuple[T, list[RunEvent]]:
            journal = Journal(connection, self._clock.now())
            return work(journal), journal.events

        answer, events = await self._database.write(transaction, repeatable=repeatable)
        self._tell(events)
        return answer

    def _tell(self, events: list[RunEvent]) -> None:
        """What is committed stands, whether or not its listener can take it (a closed stdout)."""
        if self._sink is None:
            return
        for event in events:
            try:
                self._sink(event)
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
                log.warning("event not told", run=event.run, seq=event.seq, error=said)


def _next_number(connection: Connection, project: ProjectId) -> int:
    """Two that read the same collide on the unique number, and one of them starts again."""
    newest = select(func.max(runs.c.number)).where(runs.c.project == project)
    return (connection.execute(newest).scalar() or 0) + 1


def _task_event(before: TaskRecord, after: TaskRecord) -> dict[str, Any]:
    event = {"state": after.state.value, "reason": after.reason, "from": before.state.value}
    if after.commit != before.commit:
        event["commit"] = after.commit or ""
    return event


def _attempt_event(attempt: AttemptRecord, state: str) -> dict[str, Any]:
    return {
        "state": state,
        "reason": attempt.failure or "",
        "number": attempt.number,
        "model": attempt.model,
    }


def _call_event(call: CallRecord) -> dict[str, Any]:
    return {
        "state": "answered",
        "reason": "",
        "request": call.request,
        "attempt": call.attempt,
        "model": call.model,
        "tokens": call.usage.total_tokens,
        "cost_microusd": call.cost_microusd,
        "simulated": call.simulated,
    }
