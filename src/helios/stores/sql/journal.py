"""One transaction on a run's record: everything that changes leaves an event beside it.

Whoever writes to a run locks it first. So the events of a run are numbered in the order in which
they are committed, and a reader who has seen number 7 will never find a new number 6.
"""

from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from helios.domain.ids import RunId, TaskId
from helios.errors import ConflictError
from helios.ports.events import RunEvent
from helios.ports.runs import TaskRecord
from helios.stores.sql import run_rows as rows
from helios.stores.sql.schema import run_events, runs, tasks

_LOCK_RUN = (
    select(runs.c.state, runs.c.reason)
    .where(runs.c.id == bindparam("run"))
    .with_for_update(key_share=True)
)
_FIND_TASK = select(tasks).where(tasks.c.run == bindparam("run"), tasks.c.id == bindparam("task"))
_CHANGE_TASK = update(tasks).where(
    tasks.c.run == bindparam("of_run"), tasks.c.id == bindparam("of_task")
)
_ADD_EVENT = insert(run_events).returning(run_events.c.seq)


class Journal:
    """A transaction on the record, and the events it leaves.

    Attributes:
        now: when it happens.
        events: what was added, with numbers.
    """

    def __init__(self, connection: Connection, now: float) -> None:
        self.connection = connection
        self.now = now
        self.events: list[RunEvent] = []

    def lock_run(self, run: RunId) -> tuple[str, str]:
        """Keep others from writing to a run until the commit; its state and reason.

        Raises:
            ConflictError: there is no such run.
        """
        found = self.connection.execute(_LOCK_RUN, {"run": run}).first()
        if found is None:
            raise ConflictError(f"there is no run {run}", next_step="Look up its id in the runs.")
        state, reason = found
        return state, reason

    def task(self, run: RunId, task: TaskId) -> TaskRecord:
        """A task as it stands.

        Raises:
            ConflictError: there is no such task.
        """
        return find_task(self.connection, run, task)

    def change_task(self, run: RunId, task: TaskRecord) -> None:
        """Store what became of a task."""
        self.connection.execute(
            _CHANGE_TASK.values(rows.task_row(task)), {"of_run": run, "of_task": task.id}
        )

    def note(self, run: RunId, kind: str, data: dict[str, Any], task: TaskId | None = None) -> None:
        """Add what happened."""
        self.add(RunEvent(run, kind, self.now, task, data))

    def add(self, event: RunEvent) -> RunEvent:
        """Add an event as it is; answers with its number."""
        seq = self.connection.execute(_ADD_EVENT, rows.event_row(event)).scalar_one()
        stored = RunEvent(event.run, event.kind, event.at, event.task, event.data, seq)
        self.events.append(stored)
        return stored


def find_task(connection: Connection, run: RunId, task: TaskId) -> TaskRecord:
    """A task as it stands.

    Raises:
        ConflictError: there is no such task.
    """
    found = connection.execute(_FIND_TASK, {"run": run, "task": task}).first()
    if found is None:
        raise ConflictError(f"run {run} has no task {task}", next_step="Look up the run's tasks.")
    return rows.task_from(found._asdict())
