"""One run from start to end: engine up, books straightened, dispatched, published, engine down."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NoReturn

import structlog

from helios.domain.budget.ledger import Admission
from helios.domain.ids import TaskId
from helios.domain.workflow.states import RunState, TaskState
from helios.engine.dispatcher import Dispatcher, Levers
from helios.engine.durable import DurableEngine
from helios.engine.worker import UNFIT, TaskWorker
from helios.errors import ConflictError, HeliosError, RunStopping, StoreError
from helios.ports.clock import Clock
from helios.ports.ledger import Ledger
from helios.ports.locks import Hold
from helios.ports.runs import RunStore
from helios.services.execution import TaskRunner

GRACE_S = 5.0
WATCH_S = 2.0
"""How often a driver looks whether it still holds its run and every running task is alive."""
log = structlog.get_logger("helios.system")


@dataclass(frozen=True, slots=True)
class RunParts:
    """What a run is driven with; `hold` says that nobody else drives it, `conclude` publishes and
    reports what it came to.
    """

    runs: RunStore
    ledger: Ledger
    runner: TaskRunner
    clock: Clock
    engine_url: str
    hold: Hold
    conclude: Callable[[RunState], Awaitable[None]]


class RunEngine:
    """Drives one run in this process."""

    def __init__(self, parts: RunParts) -> None:
        self._parts = parts
        self._project = parts.runner.project
        self._run = self._project.run
        self._worker = TaskWorker(parts.runner, parts.runs)
        self._stop = asyncio.Event()
        self._counts: dict[TaskId, int] = {}
        self._starting: set[TaskId] = set()
        self._lost = False

    def stop(self) -> None:
        """Ask for a clean stop; asking again cuts off what is running."""
        if self._stop.is_set():
            self._worker.cut_off()
        self._stop.set()

    async def run(self, *, wait_for_budget: bool = True) -> RunState:
        """Run to the end, or until stopped.

        Raises:
            RunStopping: `stop` was called; everything unfinished is kept for the next start.
            BudgetExhausted: see `Dispatcher.drive`; the run is marked stopped.
            WorkspaceError: the result could not be published; the run is marked stopped.
        """
        parts = self._parts
        await parts.ledger.sweep()
        parts.runner.prepare()
        engine = await DurableEngine.open(parts.engine_url, self._run, self._worker.run_task)
        try:
            await self._mark_running()
            await self._reconcile(engine, await self._running())
            levers = Levers(start=lambda task: self._start(engine, task), fits=self._fits)
            dispatcher = Dispatcher(self._project, parts.runs, self._worker, levers, parts.clock)
            driving = self._to_the_end(dispatcher, wait_for_budget)
            state = await self._until_stopped(driving, self._watch(engine))
            await engine.forget()
        except (Exception, RunStopping) as reason:
            await self._wind_down()
            await self._mark_stopped(reason)
            raise
        finally:
            await self._wind_down()
            await engine.close()
        await parts.runs.set_run_state(self._run, state)
        return state

    async def _to_the_end(self, dispatcher: Dispatcher, wait_for_budget: bool) -> RunState:
        """Published before the record says that the run is over: after a crash it is not lost."""
        state = await dispatcher.drive(wait_for_budget=wait_for_budget)
        await self._parts.conclude(state)
        return state

    async def _mark_running(self) -> None:
        """A wish to cancel that came before is left standing."""
        record = await self._parts.runs.run(self._run)
        if record and record.state is RunState.STOPPED:
            await self._parts.runs.set_run_state(self._run, RunState.RUNNING)

    async def _mark_stopped(self, reason: BaseException) -> None:
        """Say why in the record, if it can still be written: it must not hide the reason."""
        text = f"{type(reason).__name__}: {reason}"
        if isinstance(reason, HeliosError):
            text = reason.message
        elif isinstance(reason, RunStopping):
            text = "stopped by you"
        else:
            log.error("defect", run=self._run, exc_info=reason)
        if self._lost:
            return
        try:
            await self._parts.runs.set_run_state(self._run, RunState.STOPPED, text)
        except StoreError as error:
            log.warning("stop not recorded", run=self._run, error=error.message)

    async def _until_stopped(
        self, drive: Coroutine[Any, Any, RunState], watch: Coroutine[Any, Any, NoReturn]
    ) -> RunState:
        driving, watching = asyncio.ensure_future(drive), asyncio.ensure_future(watch)
        stopping = asyncio.ensure_future(self._stop.wait())
        waiting: tuple[asyncio.Future[Any], ...] = (driving, watching, stopping)
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if driving.done():
                return driving.result()
            if watching.done():
                watching.result()
            raise RunStopping("stopped by you")
        finally:
            for future in waiting:
                future.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _watch(self, engine: DurableEngine) -> NoReturn:
        """Look after what the dispatcher takes for granted.

        Raises:
            ConflictError: somebody else drives the run now.
            StoreError: a database does not answer.
            Exception: what a workflow failed by.
        """
        absent: set[TaskId] = set()
        while True:
            await self._parts.clock.sleep(WATCH_S)
            if engine.defect:
                raise engine.defect
            try:
                await self._parts.hold.confirm()
            except ConflictError:
                self._lost = True
                raise
            # What is only just being begun is not there yet, but it is the next time.
            was_absent, absent = absent, await self._running() - engine.executing - self._starting
            if absent & was_absent:
                await self._reconcile(engine, absent & was_absent)

    async def _wind_down(self) -> None:
        """Let running steps finish for a moment, so that paid answers are not thrown away."""
        self._worker.stop()
        if not self._lost:
            await self._while_busy(GRACE_S)
        self._worker.cut_off()
        await self._while_busy(GRACE_S)

    async def _while_busy(self, most_s: float) -> None:
        deadline = self._parts.clock.monotonic() + most_s
        while self._worker.busy and self._parts.clock.monotonic() < deadline:
            await self._parts.clock.sleep(0.02)

    async def _running(self) -> set[TaskId]:
        records = await self._parts.runs.tasks(self._run)
        return {record.id for record in records if record.state is TaskState.RUNNING}

    async def _reconcile(self, engine: DurableEngine, dead: set[TaskId]) -> None:
        """The record says that tasks run which nobody runs: their driver died, or the engine lost
        its database. What it knows is gone on with, and what it never heard of is started again;
        steps already kept are not repeated.
        """
        known = await engine.known(f"{self._run}:")
        active: set[TaskId] = set()
        adrift: list[str] = []
        for workflow_id, kept in known.items():
            name, _, count = workflow_id.removeprefix(f"{self._run}:").rpartition(":")
            task = TaskId(name)
            self._counts[task] = max(self._counts.get(task, 0), int(count))
            if kept.unfinished:
                active.add(task)
                if not kept.ours or (task in dead and not kept.queued):
                    adrift.append(workflow_id)
        await engine.take_over(adrift)
        for task in sorted((dead - active) & (await self._running() - self._starting)):
            log.warning("started again", run=self._run, task=task)
            await self._start(engine, task)

    async def _start(self, engine: DurableEngine, task: TaskId) -> None:
        count = self._counts.get(task, 0) + 1
        self._counts[task] = count
        self._starting.add(task)
        try:
            await engine.start(f"{self._run}:{task}:{count}", task)
        finally:
            self._starting.discard(task)

    async def _fits(self, task: TaskId) -> Admission | None:
        """Whether a task's call would be admitted now; one that can never call is started, so that
        its attempt says why.
        """
        try:
            return await self._parts.runner.fits(task)
        except UNFIT:
            return None
