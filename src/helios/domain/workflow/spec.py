"""A project as data: what `helios.yaml` says, defaults filled in and globs resolved."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from helios.domain.ids import TaskId
from helios.domain.pricing import Tier
from helios.domain.workflow.retries import RetryPolicy

Action = Literal["analyse", "merge", "report"]


@dataclass(frozen=True, slots=True)
class Gate:
    """A command that must succeed in the sandbox before a task's result is accepted."""

    run: str
    timeout_s: float = 300.0


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One task: an agent's, a command's (`run`), or an action Helios does itself."""

    id: TaskId
    agent: str | None = None
    run: str | None = None
    action: Action | None = None
    prompt: str = ""
    needs: tuple[TaskId, ...] = ()
    files: tuple[str, ...] = ()
    editable: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    model: str | None = None
    priority: int = 5
    deadline: float | None = None
    timeout_s: float = 600.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    messages: int | None = None

    @property
    def kind(self) -> str:
        """What carries the task out, in one word or two."""
        if self.agent:
            return self.agent
        return self.action or "command"


@dataclass(frozen=True, slots=True)
class BudgetSpec:
    """The project's own ceilings, inside the plan's windows. None means no ceiling of its own.

    `account` is whose limits count besides: a path such as "acme/mobile", "" for everybody's.
    """

    messages: int | None = None
    cost_usd: float | None = None
    strong_share: float | None = None
    account: str = ""


@dataclass(frozen=True, slots=True)
class RepoSpec:
    """Where the code comes from: an existing checkout, or a folder taken as a first commit."""

    path: str | None = None
    snapshot: str | None = None


@dataclass(frozen=True, slots=True)
class ProjectSpec:
    """A whole project."""

    name: str
    goal: str
    tasks: tuple[TaskSpec, ...]
    repo: RepoSpec = field(default_factory=RepoSpec)
    budget: BudgetSpec = field(default_factory=BudgetSpec)
    parallel: int = 4
    language: str = "en"
    answers: str | None = None
    models: Mapping[Tier, str] = field(default_factory=dict[Tier, str])

    def task(self, task: TaskId) -> TaskSpec:
        """The task of this id (KeyError when there is none)."""
        return self.by_id[task]

    @property
    def by_id(self) -> dict[TaskId, TaskSpec]:
        """The tasks by their ids."""
        return {task.id: task for task in self.tasks}

    @property
    def needs(self) -> dict[TaskId, tuple[TaskId, ...]]:
        """What each task waits for."""
        return {task.id: task.needs for task in self.tasks}
