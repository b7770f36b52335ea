"""The record of projects, runs, tasks, attempts and model calls: the truth for people.

Promises every implementation keeps (the conformance suite numbers its tests after them):

 1 a task moves only along the state table; a repeated move is the same as one
 2 every move leaves an event in the same commit
 3 events are numbered upwards and read back in order
 4 a call's reply is found again by its request id, letter by letter
 5 closing and opening the store again changes nothing
 6 two runs of one project never get the same number
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from helios.domain.ids import ProjectId, RequestId, RunId, TaskId
from helios.domain.usage import Usage
from helios.domain.workflow.states import RunState, TaskState
from helios.ports.events import RunEvent


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of a project. `spec` is the project as it was when the run began, as JSON."""

    id: RunId
    project: ProjectId
    number: int
    name: str
    path: str
    spec: str
    spec_digest: str
    state: RunState
    provider: str
    simulated: bool
    sandbox: str
    created_at: float
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class NewRun:
    """What is known of a run before it has a number."""

    project: ProjectId
    name: str
    path: str
    spec: str
    spec_digest: str
    provider: str
    simulated: bool
    sandbox: str
    tasks: tuple[TaskId, ...]


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """Where a task stands. `reason` says in words why it is there."""

    id: TaskId
    state: TaskState
    reason: str
    attempts: int = 0
    commit: str | None = None
    ready_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    not_before: float | None = None
    output: str = ""


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One try of a task. `choice` is the router's explanation, `detail` what went wrong."""

    task: TaskId
    number: int
    model: str | None
    choice: Mapping[str, Any] = field(default_factory=dict[str, Any])
    failure: str | None = None
    detail: str = ""
    started_at: float = 0.0
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One answered model call. `reply` is kept as JSON, so that a repeat costs nothing.

    `agent` is whose call it was, `account` whose budget it was made from; "" when not known.
    """

    request: RequestId
    run: RunId
    task: TaskId
    attempt: int
    model: str
    tier: str
    provider: str
    simulated: bool
    usage: Usage
    cost_microusd: int
    started_at: float
    finished_at: float
    reply: str
    agent: str = ""
    account: str = ""


class RunStore(Protocol):
    """Reads and writes the record. Times are seconds since 1970, UTC."""

    async def create_run(self, new: NewRun) -> RunRecord:
        """Number and store a run with all its tasks waiting."""
        ...

    async def run(self, run: RunId) -> RunRecord | None:
        """One run."""
        ...

    async def latest_run(self, project: ProjectId) -> RunRecord | None:
        """The newest run of a project."""
        ...

    async def runs(self, most: int = 50) -> tuple[RunRecord, ...]:
        """The newest runs of all projects, the newest first."""
        ...

    async def set_run_state(self, run: RunId, state: RunState, reason: str = "") -> RunState:
        """Move a run along `RUN_TRANSITIONS`; leaves an event. The state it is in then.

        What the table does not allow changes nothing: somebody else was first.
        """
        ...

    async def tasks(self, run: RunId) -> tuple[TaskRecord, ...]:
        """All tasks of a run in order of definition."""
        ...

    async def task(self, run: RunId, task: TaskId) -> TaskRecord:
        """One task (ConflictError when there is none)."""
        ...

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

        Raises:
            ConflictError: the table does not allow this step.
        """
        ...

    async def save_attempt(self, run: RunId, attempt: AttemptRecord) -> None:
        """Store or replace an attempt; leaves an event when it is new and when it ends."""
        ...

    async def attempts(self, run: RunId, task: TaskId | None = None) -> tuple[AttemptRecord, ...]:
        """Attempts in order, of one task or of all."""
        ...

    async def save_call(self, call: CallRecord) -> None:
        """Store a call and what it spent, once and in one commit; a repeat changes nothing."""
        ...

    async def call(self, request: RequestId) -> CallRecord | None:
        """One call."""
        ...

    async def calls(self, run: RunId) -> tuple[CallRecord, ...]:
        """All calls of a run, the oldest first."""
        ...

    async def add_event(self, event: RunEvent) -> RunEvent:
        """Store a fact that belongs to no move; answers with its number."""
        ...

    async def events(self, run: RunId, after: int = 0, most: int = 1000) -> tuple[RunEvent, ...]:
        """Events of a run with a higher number than `after`, in order."""
        ...

    async def outcomes(self, *, simulated: bool) -> tuple[tuple[str, str, bool], ...]:
        """Every ended agent attempt as (task type, model, succeeded), the oldest first.

        Of simulated runs or of the others: a simulator's answers teach nothing about models.
        """
        ...
