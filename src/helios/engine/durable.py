"""Durable execution on DBOS: workflows that survive a crash, made of steps that are kept.

A step that has ended is never run again; a step that was cut off is run from its beginning. DBOS
keeps one engine per process, so everything is registered when it is opened and forgotten when it
is closed. Many runs may share one database: each has a queue of its own, which only its driver
listens to, and each driving a name of its own, so that nobody is given another's work.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from dbos import DBOS, SetWorkflowID, StepOptions
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from helios.errors import StoreError

POLL_S = 0.05
PATIENCE_S = 15.0
"""How long the engine's database may be away before a request of ours is given up."""
RETRY_S = 0.2
CLOSE_S = 6.0
"""How long closing may take; a database that is gone would keep DBOS waiting for ever."""
ACTIVE = ["PENDING", "ENQUEUED", "DELAYED"]
AWAY = (OperationalError, InterfaceError, NoConnection)
APPLICATION_VERSION = "1"
"""Raised when a change of the task workflow's steps makes old, unfinished workflows unreadable."""

log = structlog.get_logger("helios.system")
_T = TypeVar("_T")
Workflow = Callable[[str], Coroutine[Any, Any, str]]


@dataclass(frozen=True, slots=True)
class Kept:
    """A workflow as the engine's database has it.

    unfinished: whether it is still to be finished.
    queued: whether it waits in this run's queue, to be begun by its driver.
    ours: whether it is queued so, or was begun by this very driving.
    """

    unfinished: bool
    queued: bool
    ours: bool


class DurableEngine:
    """One workflow function, run by name and argument, for one run.

    `defect` holds what a workflow failed by outside of its steps.
    """

    def __init__(self, run: str, workflow: Workflow) -> None:
        self._queue = f"tasks-{run}"
        self._executor = f"{run}#{secrets.token_hex(6)}"
        self._workflow = workflow
        self._registered: Callable[[str], Any] = workflow
        self._executing: dict[object, str] = {}
        self.defect: Exception | None = None

    @classmethod
    async def open(cls, url: str, run: str, workflow: Workflow) -> "DurableEngine":
        """Start the engine; what was begun earlier waits until `take_over`.

        Args:
            url: the engine's own database (sqlite:///... or postgresql://...).
            run: whose workflows are run, and no others.
            workflow: what every workflow runs, with the task's id.
        """
        engine = cls(run, workflow)
        await engine._launch(url)
        return engine

    async def _launch(self, url: str) -> None:
        logging.getLogger("dbos").setLevel(logging.CRITICAL)
        DBOS(
            config={
                "name": "helios",
                "system_database_url": url,
                "application_version": APPLICATION_VERSION,
                "executor_id": self._executor,
                "log_level": "CRITICAL",
                "notification_listener_polling_interval_sec": 0.25,
            }
        )
        self._registered = DBOS.workflow(name="run_task")(self._as_function())
        DBOS.listen_queues([self._queue])
        DBOS.launch()
        await DBOS.register_queue_async(
            self._queue, polling_interval_sec=POLL_S, on_conflict="always_update"
        )

    @property
    def executing(self) -> frozenset[str]:
        """The arguments of the workflows that are alive in this process."""
        return frozenset(self._executing.values())

    async def start(self, workflow_id: str, argument: str) -> None:
        """Run the workflow under a name; a name already known is not started twice.

        Raises:
            StoreError: the engine's database does not answer.
        """

        async def enqueue() -> None:
            with SetWorkflowID(workflow_id):
                await DBOS.enqueue_workflow_async(self._queue, self._registered, argument)

        await _answered(enqueue)

    async def known(self, prefix: str) -> dict[str, Kept]:
        """Every workflow whose name starts so.

        Raises:
            StoreError: the engine's database does not answer.
        """
        found = await _answered(
            lambda: DBOS.list_workflows_async(
                workflow_id_prefix=prefix, load_input=False, load_output=False
            )
        )
        return {w.workflow_id: self._kept(w.status, w.queue_name, w.executor_id) for w in found}

    def _kept(self, status: str, queue: str | None, executor: str | None) -> Kept:
        queued = status == "ENQUEUED" and queue == self._queue
        begun = status == "PENDING" and executor == self._executor
        return Kept(status in ACTIVE, queued, queued or begun)

    async def take_over(self, workflow_ids: Collection[str]) -> None:
        """Go on here with unfinished workflows that nobody runs any more.

        Raises:
            StoreError: the engine's database does not answer.
        """
        names = sorted(workflow_ids)
        if names:
            await _answered(lambda: DBOS.resume_workflows_async(names, queue_name=self._queue))

    async def forget(self) -> None:
        """The run has ended and needs its queue no more."""
        try:
            await _answered(lambda: DBOS.delete_queue_async(self._queue))
        except StoreError as error:
            log.warning("a queue is left behind", queue=self._queue, error=error.message)

    async def close(self) -> None:
        """Stop; what is unfinished stays for the next start."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        except TimeoutError:
            log.warning("the engine's database keeps it from closing")
        # DBOS lends the loop its own threads and takes them away with it.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())

    def _as_function(self) -> Workflow:
        """DBOS writes attributes on what it registers, which a bound method does not allow."""

        async def run_task(argument: str) -> str:
            execution = object()
            self._executing[execution] = argument
            try:
                return await self._workflow(argument)
            except AWAY as error:
                # To end would be recorded as the task's end; unfinished, it is taken over again.
                log.warning("lost its engine", task=argument, error=str(error))
            except Exception as error:
                self.defect = error
                raise
            finally:
                del self._executing[execution]
            for_ever: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            return await for_ever

        return run_task


async def _answered(ask: Callable[[], Awaitable[_T]]) -> _T:
    """Ask the engine's database, again while it is away for a moment; must be repeatable.

    Raises:
        StoreError: it does not answer in time.
    """
    last: Exception | None = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return await ask()
                except AWAY as error:
                    last = error
                await asyncio.sleep(RETRY_S)
    except TimeoutError:
        raise StoreError(
            f"the engine's database does not answer: {last or 'it keeps us waiting'}",
            next_step="Start the server or mend the connection, then run the same command again.",
        ) from last


async def step(name: str, function: Callable[..., Coroutine[Any, Any, _T]], *args: Any) -> _T:
    """Run one step of the current workflow, or give its kept result."""
    options: StepOptions = {"name": name}
    return await DBOS.run_step_async(options, function, *args)


async def sleep(seconds: float) -> None:
    """Sleep inside a workflow; what was slept before a crash counts."""
    await DBOS.sleep_async(seconds)
