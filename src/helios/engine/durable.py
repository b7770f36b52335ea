"""Durable execution on DBOS: workflows that survive a crash, made of steps that are kept.

A step that has ended is never run again; a step that was cut off is run from its beginning. DBOS
keeps one engine per process, so everything is registered when it is opened and forgotten when it
is closed.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from dbos import DBOS, SetWorkflowID, StepOptions

QUEUE = "tasks"
POLL_S = 0.05
ACTIVE = ["PENDING", "ENQUEUED", "DELAYED"]
APPLICATION_VERSION = "1"
"""Raised when a change of the task workflow's steps makes old, unfinished workflows unreadable."""

_T = TypeVar("_T")
Workflow = Callable[[str], Coroutine[Any, Any, str]]


class DurableEngine:
    """One workflow function, run by name and argument."""

    def __init__(self, workflow: Callable[[str], Any]) -> None:
        self._workflow = workflow

    @classmethod
    async def open(cls, url: str, executor: str, workflow: Workflow) -> "DurableEngine":
        """Start the engine; unfinished workflows of this executor go on by themselves.

        Args:
            url: the engine's own database (sqlite:///... or postgresql://...).
            executor: who we are: only this executor's unfinished work is taken up.
            workflow: what every workflow runs, with the task's id.
        """
        logging.getLogger("dbos").setLevel(logging.CRITICAL)
        DBOS(
            config={
                "name": "helios",
                "system_database_url": url,
                "application_version": APPLICATION_VERSION,
                "executor_id": executor,
                "log_level": "CRITICAL",
                "notification_listener_polling_interval_sec": 0.25,
            }
        )
        registered = DBOS.workflow(name="run_task")(_as_function(workflow))
        DBOS.launch()
        await DBOS.register_queue_async(
            QUEUE, polling_interval_sec=POLL_S, on_conflict="always_update"
        )
        return cls(registered)

    async def start(self, workflow_id: str, argument: str) -> None:
        """Run the workflow under a name; a name already known is not started twice."""
        with SetWorkflowID(workflow_id):
            await DBOS.enqueue_workflow_async(QUEUE, self._workflow, argument)

    async def known(self, prefix: str) -> dict[str, bool]:
        """Every workflow whose name starts so, and whether it is still to be finished."""
        found = await DBOS.list_workflows_async(
            workflow_id_prefix=prefix, load_input=False, load_output=False
        )
        return {w.workflow_id: w.status in ACTIVE for w in found}

    async def close(self) -> None:
        """Stop; what is unfinished stays for the next start."""
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        # DBOS lends the loop its own threads and takes them away with it.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())


def _as_function(workflow: Workflow) -> Workflow:
    """DBOS writes attributes on what it registers, which a bound method does not allow."""

    async def run_task(argument: str) -> str:
        return await workflow(argument)

    return run_task


async def step(name: str, function: Callable[..., Coroutine[Any, Any, _T]], *args: Any) -> _T:
    """Run one step of the current workflow, or give its kept result."""
    options: StepOptions = {"name": name}
    return await DBOS.run_step_async(options, function, *args)


async def sleep(seconds: float) -> None:
    """Sleep inside a workflow; what was slept before a crash counts."""
    await DBOS.sleep_async(seconds)
