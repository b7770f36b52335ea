"""A run's project as the services carry it: what was asked, by whom it is done, what bounds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from helios.domain.budget.limit import Limit
from helios.domain.ids import RunId, TaskId
from helios.domain.roles import Role
from helios.domain.workflow.graph import Graph
from helios.domain.workflow.spec import ProjectSpec, TaskSpec
from helios.services.governor import Governor


@dataclass(frozen=True, slots=True)
class LiveProject:
    """One run of a project. `home` is the run's own folder."""

    run: RunId
    spec: ProjectSpec
    graph: Graph
    roles: Mapping[str, Role]
    home: Path

    def task(self, task: TaskId) -> TaskSpec:
        """The task as the project file describes it."""
        return self.spec.by_id[task]

    def role(self, task: TaskSpec) -> Role | None:
        """Who does a task, if a model is needed for it."""
        return self.roles[task.agent] if task.agent else None

    def limits(self, governor: Governor, task: TaskSpec) -> tuple[Limit, ...]:
        """Everything that bounds a task's calls."""
        return governor.task_limits(self.run, self.spec.budget, task)
