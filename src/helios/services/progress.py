"""How far a run is: what the live view and `helios status` show."""

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

from helios.domain.pricing import MICRO
from helios.domain.workflow.plan import schedule_length
from helios.domain.workflow.states import TaskState
from helios.ports.clock import Clock
from helios.ports.runs import RunRecord, RunStore, TaskRecord
from helios.services.execution import LiveProject
from helios.services.governor import BudgetStatus, Gauge, Governor
from helios.services.planner import COMMAND_S, FIRST_TOKEN_S

MOST_NAMED = 3
ASSUMED_AGENT_S = FIRST_TOKEN_S + 2 * COMMAND_S


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a run. `ends_at` is the forecast end (UTC seconds), None when it has ended or
    cannot go on; money in millionths of a dollar.
    """

    run: RunRecord
    tasks: tuple[TaskRecord, ...]
    states: dict[TaskState, int]
    messages: int
    cost_microusd: int
    budget: BudgetStatus
    ends_at: float | None
    at: float


class ProgressReader:
    """Reads how far a run is from the record and the ledger; works from any process."""

    def __init__(self, runs: RunStore, governor: Governor, clock: Clock) -> None:
        self._runs = runs
        self._governor = governor
        self._clock = clock

    async def read(self, project: LiveProject) -> Progress:
        """How far a run is now."""
        run = await self._runs.run(project.run)
        if run is None:
            raise LookupError(project.run)
        tasks = _with_missing_needs(project, await self._runs.tasks(project.run))
        calls = await self._runs.calls(project.run)
        limits = self._governor.run_limits(project.run, project.spec.budget)
        now = self._clock.now()
        return Progress(
            run=run,
            tasks=tasks,
            states=dict(Counter(task.state for task in tasks)),
            messages=len(calls),
            cost_microusd=sum(call.cost_microusd for call in calls),
            budget=await self._governor.status(limits),
            ends_at=None if run.state.final else now + await self._seconds_left(project, tasks),
            at=now,
        )

    async def _seconds_left(self, project: LiveProject, tasks: tuple[TaskRecord, ...]) -> float:
        """The rest of the schedule, with the lengths seen in this run where there are any."""
        agent_s, other_s = await self._observed(project)
        left: dict[Any, float] = {}
        for task in tasks:
            if task.state.final:
                continue
            expected = agent_s if project.task(task.id).agent else other_s
            if task.state is TaskState.RUNNING and task.started_at is not None:
                expected = max(0.2 * expected, expected - (self._clock.now() - task.started_at))
            left[task.id] = expected
        return schedule_length(project.graph, left, project.spec.parallel)

    async def _observed(self, project: LiveProject) -> tuple[float, float]:
        """The mean length of a finished agent task and of another one, all attempts together."""
        spent: dict[bool, list[float]] = {True: [], False: []}
        for task in await self._runs.tasks(project.run):
            if task.state.final and task.started_at is not None and task.finished_at is not None:
                is_agent = project.task(task.id).agent is not None
                spent[is_agent].append(task.finished_at - task.started_at)
        return _mean(spent[True], ASSUMED_AGENT_S), _mean(spent[False], COMMAND_S)


def _with_missing_needs(
    project: LiveProject, tasks: tuple[TaskRecord, ...]
) -> tuple[TaskRecord, ...]:
    """Waiting tasks say for whom, where nothing else was said."""
    done = {task.id for task in tasks if task.state is TaskState.DONE}
    told = []
    for task in tasks:
        missing = [need for need in project.graph.needs[task.id] if need not in done]
        if task.state is TaskState.WAITING and missing and not task.reason.startswith("budget"):
            shown = ", ".join(missing[:MOST_NAMED])
            more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
            told.append(replace(task, reason=f"waits for {shown}{more}"))
        else:
            told.append(task)
    return tuple(told)


def progress_to_json(progress: Progress) -> dict[str, Any]:
    """A moment of a run as plain data; money in US dollars."""
    return {
        "schema": 1,
        "run": progress.run.id,
        "project": progress.run.name,
        "state": str(progress.run.state),
        "simulated": progress.run.simulated,
        "messages": progress.messages,
        "cost_usd": progress.cost_microusd / MICRO,
        "ends_at": progress.ends_at,
        "tasks": [
            {
                "task": task.id,
                "state": str(task.state),
                "reason": task.reason,
                "attempts": task.attempts,
                "started_at": task.started_at,
                "finished_at": task.finished_at,
                "not_before": task.not_before,
            }
            for task in progress.tasks
        ],
        "budget": budget_to_json(progress.budget),
    }


def budget_to_json(status: BudgetStatus) -> dict[str, Any]:
    """The state of the budget as plain data."""
    return {
        "schema": 1,
        "zone": str(status.zone),
        "at": status.at,
        "limits": [_gauge_to_json(gauge) for gauge in status.gauges],
    }


def _gauge_to_json(gauge: Gauge) -> dict[str, Any]:
    return {
        "key": gauge.key,
        "label": gauge.label,
        "unit": str(gauge.unit),
        "cap": gauge.cap,
        "spent": gauge.spent,
        "held": gauge.held,
        "used": round(gauge.used, 4),
        "zone": str(gauge.zone),
        "health": str(gauge.health),
        "opened_at": gauge.opened_at,
        "resets_at": gauge.resets_at,
        "source": gauge.source,
        "age_s": gauge.age_s,
        "provider": asdict(gauge.provider) if gauge.provider else None,
    }


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
