"""Which run of a project a command means: the unfinished one, a new one, or none."""

from dataclasses import dataclass, replace
from typing import Literal

from helios.domain.ids import ProjectId
from helios.domain.workflow.spec import BudgetSpec, ProjectSpec
from helios.domain.workflow.states import RunState, TaskState
from helios.errors import ConflictError, UsageError
from helios.ports.runs import NewRun, RunRecord, RunStore
from helios.services.projects import digest, spec_to_json

Wish = Literal["continue or start", "continue", "start"]
_BY_YOU = "cancelled by you"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run begins with besides its project."""

    provider: str
    simulated: bool
    sandbox: str


def work_digest(spec: ProjectSpec) -> str:
    """Names the work of a project: the same while only its budgets, pace or deadlines change."""
    tasks = tuple(replace(task, deadline=None, messages=None) for task in spec.tasks)
    return digest(replace(spec, tasks=tasks, budget=BudgetSpec(), parallel=1))


def with_pace_of(old: ProjectSpec, new: ProjectSpec) -> ProjectSpec:
    """The work as it was when a run began, with the budgets and the pace the file says now."""
    now = new.by_id
    tasks = tuple(
        replace(task, messages=now[task.id].messages) if task.id in now else task
        for task in old.tasks
    )
    return replace(old, tasks=tasks, budget=new.budget, parallel=new.parallel)


def nobody_answers(spec: ProjectSpec, around: Surroundings) -> bool:
    """Whether a new run would have agents and no model to answer them."""
    return around.simulated and not spec.answers and any(task.agent for task in spec.tasks)


class RunBook:
    """Finds, starts, cancels and reopens runs in the record."""

    def __init__(self, runs: RunStore) -> None:
        self._runs = runs

    async def unfinished(self, project: ProjectId) -> RunRecord | None:
        """The newest run of a project if it can go on."""
        latest = await self._runs.latest_run(project)
        return latest if latest and not latest.state.final else None

    async def pick(
        self, project: ProjectId, path: str, spec: ProjectSpec, around: Surroundings, wish: Wish
    ) -> RunRecord:
        """The run to drive.

        Raises:
            ConflictError: the project file has changed since its unfinished run began, or there
                is nothing to continue.
            UsageError: a new run would have agents and nobody to answer them.
        """
        open_run = await self.unfinished(project)
        if open_run and wish == "start":
            await self.give_up(open_run, "replaced by a new run")
            open_run = None
        if open_run:
            if wish == "continue or start" and open_run.spec_digest != work_digest(spec):
                raise ConflictError(
                    f"{path} has changed since run {open_run.number} began, which is unfinished",
                    next_step="`helios resume` goes on with it as it was; "
                    "`helios run --new` gives it up and starts with the file as it is.",
                )
            return open_run
        if wish == "continue":
            raise ConflictError(
                f"{path} has no unfinished run", next_step="`helios run` starts one."
            )
        if nobody_answers(spec, around):
            raise UsageError(
                f"no model is configured to answer the agents of {path}",
                next_step="Set ANTHROPIC_API_KEY or the setting `provider`, or name recorded "
                "answers for the simulator with `answers:` in the project.",
            )
        return await self._runs.create_run(
            NewRun(
                project=project,
                name=spec.name,
                path=path,
                spec=spec_to_json(spec),
                spec_digest=work_digest(spec),
                provider=around.provider,
                simulated=around.simulated,
                sandbox=around.sandbox,
                tasks=tuple(task.id for task in spec.tasks),
            )
        )

    async def give_up(self, run: RunRecord, reason: str) -> None:
        """End a run that nobody drives as cancelled."""
        for task in await self._runs.tasks(run.id):
            if not task.state.final:
                await self._runs.move_task(run.id, task.id, TaskState.CANCELLED, reason)
        await self._runs.set_run_state(run.id, RunState.CANCELLED, reason)

    async def ask_to_cancel(self, run: RunRecord) -> None:
        """Tell the process that drives a run to cancel it.

        Raises:
            ConflictError: it has ended meanwhile.
        """
        stands = await self._runs.set_run_state(run.id, RunState.CANCELLING, _BY_YOU)
        if stands.final:
            raise ConflictError(
                f"run {run.number} has ended meanwhile: it is {stands}",
                next_step="`helios status` shows what became of it.",
            )
