"""The workflow of one task: attempts until it is accepted or given up, every step kept."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from helios.domain.ids import TaskId
from helios.domain.workflow.retries import FailureKind, RetryDecision, decide
from helios.domain.workflow.states import TaskState
from helios.engine import durable
from helios.errors import HeliosError, UnknownPrice, UsageError
from helios.ports.runs import RunStore
from helios.services.execution import Failure, Outcome, TaskRunner
from helios.services.execution.outcome import failure_of

log = structlog.get_logger("helios.task")
LONGEST_REASON = 200
BUDGET = "budget: "
"""What the reason of a task begins with that waits for its budget."""
UNFIT = (UnknownPrice, UsageError)
"""What is wrong with a task by itself: its model has no price, its role is gone. Others go on."""
Part = Callable[..., Coroutine[Any, Any, Any]]


class TaskWorker:
    """Runs the tasks of one run.

    `changed` is set whenever a task moved. `fatal` holds the error that forbids going on.
    """

    def __init__(self, runner: TaskRunner, runs: RunStore) -> None:
        self._runner = runner
        self._runs = runs
        self._run = runner.project.run
        self._live: dict[str, asyncio.Task[Any]] = {}
        self._stopping = False
        self._cancel_wanted = asyncio.Event()
        self.changed = asyncio.Event()
        self.fatal: HeliosError | None = None

    async def run_task(self, task: str) -> str:
        """The workflow: deterministic but for its steps."""
        number = await self._step("number", task, self._next_number)
        if isinstance(number, Outcome):
            return await self._give_up(task, number)
        while True:
            outcome = await self._attempt(task, number)
            failure = outcome.failure
            if failure is None:
                return await self._finish(task, TaskState.DONE, "accepted", outcome)
            if failure.kind is FailureKind.CANCELLED:
                return await self._finish(task, TaskState.CANCELLED, failure.detail, outcome)
            if failure.kind is FailureKind.BUDGET:
                return str(await self._step("put back", task, self._put_back, failure))
            decision = await self._step("decide", task, self._decide, number, failure)
            if isinstance(decision, Outcome):
                return await self._give_up(task, decision)
            if decision is None:
                reason = _gave_up(number, failure)
                return await self._finish(task, TaskState.FAILED, reason, outcome)
            await self._back_off(decision.delay_s)
            number += 1

    async def _give_up(self, task: str, instead: Outcome) -> str:
        """End a task at a step that could not be carried out: cancelled meanwhile, or a defect."""
        failure = instead.failure or Failure(FailureKind.DEFECT, "a step left nothing")
        if failure.kind is FailureKind.CANCELLED:
            return await self._finish(task, TaskState.CANCELLED, failure.detail, instead)
        reason = f"{failure.kind}: {failure.detail}"[:LONGEST_REASON]
        return await self._finish(task, TaskState.FAILED, reason, instead)

    async def _back_off(self, seconds: float) -> None:
        """Sleep, until the run is cancelled; the sleep is a step of the workflow all the same."""
        sleeping = asyncio.ensure_future(durable.sleep(seconds))
        cancelling = asyncio.ensure_future(self._cancel_wanted.wait())
        try:
            await asyncio.wait({sleeping, cancelling}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            cancelling.cancel()
            slept, _ = await asyncio.gather(sleeping, cancelling, return_exceptions=True)
        if isinstance(slept, Exception):
            raise slept

    def stop(self) -> None:
        """Begin no further step; the workflows stay unfinished for the next start."""
        self._stopping = True

    def cut_off(self) -> None:
        """Cancel what is running now: after `stop`, when patience is over."""
        for work in list(self._live.values()):
            work.cancel()

    def cancel(self) -> None:
        """End every task as cancelled."""
        self._cancel_wanted.set()
        self.cut_off()

    @property
    def _cancelling(self) -> bool:
        return self._cancel_wanted.is_set()

    @property
    def busy(self) -> bool:
        """Whether a step is running now."""
        return any(not work.done() for work in self._live.values())

    async def _attempt(self, task: str, number: int) -> Outcome:
        begun: Outcome = await self._step("begin", task, self._begin, number)
        if begun.failure:
            return begun
        outcome: Outcome = await self._step("work", task, self._work, number, dict(begun.choice))
        if outcome.answer is not None:
            outcome = await self._step("verify", task, self._verify, number, outcome)
        await self._step("end", task, self._end, number, outcome)
        return outcome

    async def _begin(self, task: str, number: int) -> Outcome:
        begun = await self._runner.begin(TaskId(task), number)
        model = begun.choice.get("model")
        doing = f"asks {model}" if model else "at work"
        await self._say(task, _numbered(number, doing))
        return begun

    async def _work(self, task: str, number: int, choice: dict[str, Any]) -> Outcome:
        return await self._runner.work(TaskId(task), number, choice)

    async def _verify(self, task: str, number: int, outcome: Outcome) -> Outcome:
        await self._say(
            task, f"attempt {number}: runs its gates" if number > 1 else "runs its gates"
        )
        return await self._runner.verify(TaskId(task), outcome)

    async def _end(self, task: str, number: int, outcome: Outcome) -> None:
        await self._runner.end(TaskId(task), number, outcome)

    async def _next_number(self, task: str) -> int:
        return await self._runner.next_number(TaskId(task))

    async def _decide(self, task: str, number: int, failure: Failure) -> RetryDecision | None:
        spec = self._runner.project.task(TaskId(task))
        failures = await self._runner.failures(TaskId(task))
        if failures[-1:] != (failure.kind,):  # it could not begin, so that no attempt tells of it
            failures = (*failures, failure.kind)
        draw = _draw(f"{self._run}/{task}/{number}")
        decision = decide(spec.retry, failures, draw=draw, retry_after_s=failure.retry_after_s)
        if decision:
            await self._say(task, decision.reason)
        return decision

    async def _put_back(self, task: str, failure: Failure) -> str:
        await self._runs.move_task(
            self._run,
            TaskId(task),
            TaskState.WAITING,
            f"{BUDGET}{failure.detail}",
            not_before=failure.resets_at,
        )
        self.changed.set()
        return "put back"

    async def _finish(self, task: str, state: TaskState, reason: str, outcome: Outcome) -> str:
        recorded = await self._step("finish", task, self._record_end, state, reason, outcome)
        return str(recorded)

    async def _record_end(self, task: str, state: TaskState, reason: str, outcome: Outcome) -> str:
        output = outcome.output or (outcome.failure.detail if outcome.failure else "")
        commit = outcome.commit if state is TaskState.DONE else None
        await self._runs.move_task(
            self._run, TaskId(task), state, reason, commit=commit, output=output
        )
        self.changed.set()
        return str(state)

    async def _say(self, task: str, reason: str) -> None:
        await self._runs.move_task(self._run, TaskId(task), TaskState.RUNNING, reason)

    async def _step(self, name: str, task: str, function: Part, *args: Any) -> Any:
        return await durable.step(name, self._guarded, function, task, *args)

    async def _guarded(self, function: Part, task: str, *args: Any) -> Any:
        """Run a step's work so that it can be stopped from outside without being recorded."""
        if self._stopping:
            await self._park()
        recording = function in (self._record_end, self._end, self._put_back)
        if self._cancelling and not recording:
            return _CANCELLED
        work = asyncio.ensure_future(function(task, *args))
        self._live[task] = work
        try:
            return await work
        except asyncio.CancelledError:
            if _is_ending() or not (self._stopping or self._cancelling):
                raise
            if self._stopping:
                await self._park()
            return _CANCELLED
        except UNFIT as error:
            return Outcome(failure=failure_of(error))
        except HeliosError as error:
            self.fatal = error
            self.changed.set()
            await self._park()
        except Exception as error:
            log.exception("defect", task=task)
            detail = f"{type(error).__name__}: {error} (details in the log)"
            return Outcome(failure=Failure(FailureKind.DEFECT, detail))
        finally:
            self._live.pop(task, None)

    async def _park(self) -> None:
        """Never return: the process ends with this step unfinished, and it is run again."""
        await asyncio.Event().wait()


_BY_YOU = "cancelled by you"
_CANCELLED = Outcome(failure=Failure(FailureKind.CANCELLED, _BY_YOU))


def _is_ending() -> bool:
    """Whether it is this very task that is cancelled, by its loop, which waits for its end."""
    this = asyncio.current_task()
    return this is not None and this.cancelling() > 0


def _gave_up(number: int, failure: Failure) -> str:
    attempts = "1 attempt" if number == 1 else f"{number} attempts"
    first_line = failure.detail.partition("\n")[0]
    return f"{failure.kind} after {attempts}: {first_line}"[:LONGEST_REASON]


def _numbered(number: int, doing: str) -> str:
    return f"attempt {number}: {doing}" if number > 1 else doing


def _draw(name: str) -> float:
    """A number in [0, 1) that is the same every time a workflow is run again."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) / 2**48
