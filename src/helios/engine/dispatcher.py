"""Starts the task that the rules in domain/workflow put first."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from helios.domain.budget.ledger import Admission
from helios.domain.budget.window import NEVER
from helios.domain.ids import TaskId
from helios.domain.workflow.graph import Graph
from helios.domain.workflow.ordering import Candidate, in_order
from helios.domain.workflow.readiness import Readiness
from helios.domain.workflow.spec import ProjectSpec
from helios.domain.workflow.states import RunState, TaskState
from helios.engine.budget_waits import BudgetWaits
from helios.engine.worker import BUDGET, TaskWorker
from helios.ports.clock import Clock
from helios.ports.runs import RunStore, TaskRecord
from helios.services.execution import LiveProject
from helios.services.governor import exhausted

TICK_S = 0.5
MOVING = frozenset({TaskState.RUNNING, TaskState.READY, TaskState.NEEDS_YOU})
log = structlog.get_logger("helios.task")

Start = Callable[[TaskId], Awaitable[None]]
Fits = Callable[[TaskId], Awaitable[Admission | None]]


@dataclass(frozen=True, slots=True)
class Levers:
    """What the dispatcher can do: start a task's workflow, and ask whether its first call fits
    (None: the task needs no model).
    """

    start: Start
    fits: Fits


class Dispatcher:
    """Keeps up to `parallel` tasks of one run going until all have ended."""

    def __init__(
        self,
        project: LiveProject,
        runs: RunStore,
        worker: TaskWorker,
        levers: Levers,
        clock: Clock,
    ) -> None:
        self._run = project.run
        self._spec: ProjectSpec = project.spec
        self._graph: Graph = project.graph
        self._runs = runs
        self._worker = worker
        self._levers = levers
        self._clock = clock
        self._readiness = Readiness(project.graph)
        self._tasks = project.spec.by_id
        self._position = {task: n for n, task in enumerate(self._tasks)}
        self._tails = project.graph.tail_lengths(
            {task: 30.0 if spec.agent else 5.0 for task, spec in self._tasks.items()}
        )
        self._waits = BudgetWaits(clock)
        self._blocked: dict[TaskId, str] = {}
        self._ends_seen: set[TaskId] = set()
        self._cancelled = False

    async def drive(self, *, wait_for_budget: bool = True) -> RunState:
        """Run to the end.

        Raises:
            BudgetExhausted: nothing can go on before a limit is raised, or, without
                `wait_for_budget`, before its window resets.
            HeliosError: what a worker found that forbids going on (a database that is gone).
        """
        while True:
            self._worker.changed.clear()
            if self._worker.fatal:
                raise self._worker.fatal
            await self._notice_cancellation()
            records = await self._runs.tasks(self._run)
            records = await self._settle_blocked(records)
            ended = self._ended(records)
            if ended:
                return ended
            if not await self._dispatch(records):
                self._check_stuck(records, wait_for_budget=wait_for_budget)
            await self._wait()

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._worker.changed.wait(), TICK_S)
        except TimeoutError:
            return

    async def _notice_cancellation(self) -> None:
        record = await self._runs.run(self._run)
        if record and record.state is RunState.CANCELLING and not self._cancelled:
            self._cancelled = True
            self._worker.cancel()

    def _ended(self, records: tuple[TaskRecord, ...]) -> RunState | None:
        if not all(record.state.final for record in records):
            return None
        if self._cancelled:
            return RunState.CANCELLED
        done = all(record.state is TaskState.DONE for record in records)
        return RunState.DONE if done else RunState.FAILED

    async def _settle_blocked(self, records: tuple[TaskRecord, ...]) -> tuple[TaskRecord, ...]:
        """Take note of what is done, and end what can never start."""
        for record in records:
            if record.state is TaskState.DONE:
                self._readiness.complete(record.id)
            elif record.state.final:
                self._note_end(record)
        settled: list[TaskRecord] = []
        for record in records:
            idle = record.state in (TaskState.WAITING, TaskState.READY)
            reason = "cancelled by you" if self._cancelled else self._blocked.get(record.id)
            if idle and reason:
                record = await self._runs.move_task(  # noqa: PLW2901
                    self._run, record.id, TaskState.CANCELLED, reason
                )
            settled.append(record)
        return tuple(settled)

    def _note_end(self, record: TaskRecord) -> None:
        """What comes after a task that will not be done is blocked, once and for all.

        What is blocked itself has nothing after it that is not.
        """
        if record.id in self._ends_seen or record.id in self._blocked:
            return
        self._ends_seen.add(record.id)
        for task in self._graph.downstream(record.id):
            self._blocked.setdefault(task, f"needs {record.id}, which {_ended_how(record)}")

    async def _dispatch(self, records: tuple[TaskRecord, ...]) -> bool:
        """Start what may start; whether anything did."""
        now = self._clock.now()
        by_id = {record.id: record for record in records}
        running = sum(record.state is TaskState.RUNNING for record in records)
        ready = [
            await self._make_ready(by_id[task])
            for task in self._readiness.ready
            if by_id[task].state in (TaskState.WAITING, TaskState.READY)
            and self._waits.is_due(by_id[task])
        ]
        longest = max(self._tails.values(), default=0.0)
        ranked = in_order(tuple(self._candidate(record, longest) for record in ready), now)
        free = self._spec.parallel - running
        started = 0
        at_hand = {record.id: record for record in ready}
        for place in ranked:
            if started >= free:
                break
            started += await self._try_start(at_hand[place.task], f"score {place.score:.0f}")
        return started > 0

    async def _make_ready(self, record: TaskRecord) -> TaskRecord:
        """Say that only a slot is missing; of a task that waits for its budget it is not known."""
        if record.state is TaskState.READY or _waits_for_budget(record):
            return record
        reason = "its needs are done; waits for a free slot"
        return await self._runs.move_task(self._run, record.id, TaskState.READY, reason)

    def _candidate(self, record: TaskRecord, longest: float) -> Candidate:
        spec = self._tasks[record.id]
        return Candidate(
            task=record.id,
            priority=spec.priority,
            ready_since=record.ready_at or self._clock.now(),
            tail_s=self._tails[record.id],
            longest_tail_s=longest,
            failures=max(0, record.attempts - 1),  # the last one is still to be made
            deadline=spec.deadline,
            position=self._position[record.id],
        )

    async def _try_start(self, record: TaskRecord, why: str) -> bool:
        answer = await self._levers.fits(record.id)
        if answer is not None and not answer.granted:
            await self._hold(record, answer)
            return False
        if not self._waits.may_start(record.id):
            return False
        if record.state is TaskState.WAITING:
            reason = "its budget has room again"
            await self._runs.move_task(self._run, record.id, TaskState.READY, reason)
        await self._runs.move_task(self._run, record.id, TaskState.RUNNING, f"starts, {why}")
        await self._levers.start(record.id)
        return True

    async def _hold(self, record: TaskRecord, answer: Admission) -> None:
        """Let a task wait for its budget; what it waits for is recorded when that changes."""
        if not self._waits.hold(record.id, answer) and record.state is TaskState.WAITING:
            return
        hint = "; only a higher limit helps" if answer.hopeless else ""
        until = None if answer.waits or answer.resets_at in (None, NEVER) else answer.resets_at
        if record.not_before is not None and until is None:  # it ends with the stay
            await self._runs.move_task(self._run, record.id, TaskState.READY, "asks again")
        await self._runs.move_task(
            self._run,
            record.id,
            TaskState.WAITING,
            f"{BUDGET}{answer.reason}{hint}",
            not_before=until,
        )

    def _check_stuck(self, records: tuple[TaskRecord, ...], *, wait_for_budget: bool) -> None:
        """Give up when only budget can help and it will not come by itself (soon enough)."""
        if any(record.state in MOVING for record in records):
            return
        waiting = [
            record.id
            for record in records
            if record.state is TaskState.WAITING and record.id in self._readiness.ready
        ]
        answer = self._waits.verdict(waiting, wait_for_budget=wait_for_budget)
        if answer is not None:
            raise exhausted(answer)


def _waits_for_budget(record: TaskRecord) -> bool:
    return record.state is TaskState.WAITING and record.reason.startswith(BUDGET)


def _ended_how(record: TaskRecord) -> str:
    return "failed" if record.state is TaskState.FAILED else "was cancelled"
