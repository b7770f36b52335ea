"""One run from start to end: engine up, books straightened, dispatched, published, engine down."""

import asyncio
from dataclasses import dataclass

import structlog

from helios.domain.budget.estimate import call_bound, input_bound
from helios.domain.budget.ledger import Admission
from helios.domain.ids import TaskId
from helios.domain.workflow.states import RunState, TaskState
from helios.engine.dispatcher import Dispatcher, Levers
from helios.engine.durable import DurableEngine
from helios.engine.worker import TaskWorker
from helios.errors import HeliosError, RunStopping
from helios.ports.clock import Clock
from helios.ports.ledger import Ledger
from helios.ports.runs import RunStore
from helios.services.execution import TaskRunner
from helios.services.governor import Governor
from helios.services.router import Router

GRACE_S = 5.0
log = structlog.get_logger("helios.system")


@dataclass(frozen=True, slots=True)
class RunParts:
    """What a run is driven with."""

    runs: RunStore
    ledger: Ledger
    governor: Governor
    router: Router
    runner: TaskRunner
    clock: Clock
    engine_url: str


class RunEngine:
    """Drives one run in this process."""

    def __init__(self, parts: RunParts) -> None:
        self._parts = parts
        self._project = parts.runner.project
        self._run = self._project.run
        self._worker = TaskWorker(parts.runner, parts.runs)
        self._stop = asyncio.Event()
        self._counts: dict[TaskId, int] = {}

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
        """
        parts = self._parts
        await parts.ledger.sweep()
        parts.runner.prepare()
        engine = await DurableEngine.open(parts.engine_url, self._run, self._worker.run_task)
        try:
            await self._mark_running()
            await self._reconcile(engine)
            levers = Levers(start=lambda task: self._start(engine, task), fits=self._fits)
            dispatcher = Dispatcher(self._project, parts.runs, self._worker, levers, parts.clock)
            state = await self._until_stopped(dispatcher, wait_for_budget=wait_for_budget)
        except (HeliosError, RunStopping) as reason:
            await self._wind_down()
            text = reason.message if isinstance(reason, HeliosError) else "stopped by you"
            await parts.runs.set_run_state(self._run, RunState.STOPPED, text)
            raise
        finally:
            await engine.close()
        await parts.runs.set_run_state(self._run, state)
        return state

    async def _mark_running(self) -> None:
        """A wish to cancel that came before is left standing."""
        record = await self._parts.runs.run(self._run)
        if record and record.state is RunState.STOPPED:
            await self._parts.runs.set_run_state(self._run, RunState.RUNNING)

    async def _until_stopped(self, dispatcher: Dispatcher, *, wait_for_budget: bool) -> RunState:
        driving = asyncio.ensure_future(dispatcher.drive(wait_for_budget=wait_for_budget))
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({driving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if driving.done():
                return driving.result()
            raise RunStopping("stopped by you")
        finally:
            for waiting in (driving, stopping):
                waiting.cancel()
            await asyncio.gather(driving, stopping, return_exceptions=True)

    async def _wind_down(self) -> None:
        """Let running steps finish for a moment, so that paid answers are not thrown away."""
        self._worker.stop()
        deadline = self._parts.clock.monotonic() + GRACE_S
        while self._worker.busy and self._parts.clock.monotonic() < deadline:
            await self._parts.clock.sleep(0.05)
        self._worker.cut_off()
        while self._worker.busy:
            await self._parts.clock.sleep(0.01)

    async def _reconcile(self, engine: DurableEngine) -> None:
        """The record may say that a task runs while the engine never heard of it: a crash between
        the two. Then it is started again; steps already kept are not repeated.
        """
        known = await engine.known(f"{self._run}:")
        active: set[str] = set()
        for workflow_id, unfinished in known.items():
            task, _, count = workflow_id.removeprefix(f"{self._run}:").rpartition(":")
            self._counts[TaskId(task)] = max(self._counts.get(TaskId(task), 0), int(count))
            if unfinished:
                active.add(task)
        for record in await self._parts.runs.tasks(self._run):
            if record.state is TaskState.RUNNING and record.id not in active:
                log.warning("started again", run=self._run, task=record.id)
                await self._start(engine, record.id)

    async def _start(self, engine: DurableEngine, task: TaskId) -> None:
        count = self._counts.get(task, 0) + 1
        self._counts[task] = count
        await engine.start(f"{self._run}:{task}:{count}", task)

    async def _fits(self, task_id: TaskId) -> Admission | None:
        """Whether a task's first call would be admitted now."""
        task = self._project.task(task_id)
        role = self._project.role(task)
        if role is None:
            return None
        limits = self._project.limits(self._parts.governor, task)
        route = await self._parts.router.route(task, role, limits)
        model = self._parts.router.catalogue.model(route.choice.model)
        estimate = call_bound(
            model,
            input_tokens=input_bound(len(f"{role.instructions}{task.prompt}".encode())),
            max_output_tokens=role.max_output_tokens,
        )
        asked = model.tier, task.priority, limits
        answer = await self._parts.governor.fits(estimate, *asked)
        if answer.short:
            least = await self._parts.runner.least_bound(task_id, model.name)
            answer = await self._parts.governor.fits(least, *asked)
        return answer
