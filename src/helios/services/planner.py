"""What a project would do and take, before anything is spent."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from helios.domain.budget.cure import cure_of
from helios.domain.budget.limit import Limit
from helios.domain.budget.preset import STRONG_TIERS
from helios.domain.budget.project_end import Ending, project_end
from helios.domain.budget.units import Amounts, Unit, show
from helios.domain.ids import RunId, TaskId
from helios.domain.pricing import MICRO
from helios.domain.roles import Role
from helios.domain.routing.learning import PRIOR
from helios.domain.workflow.graph import Graph
from helios.domain.workflow.plan import Band, Forecast, TaskEstimate, forecast
from helios.domain.workflow.spec import ProjectSpec, TaskSpec
from helios.ports.models import ModelRequest
from helios.services.estimates import Estimates
from helios.services.governor import Gauge, Governor
from helios.services.router import Route, Router, expected_usage

SECONDS_PER_OUTPUT_TOKEN = 1 / 60
FIRST_TOKEN_S = 2.0
COMMAND_S = 5.0
"""Assumptions until a project has a history of its own: 60 output tokens a second after two
seconds, five seconds for a command."""
ASSUMED_FILE_BYTES = 4_000


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """One task: what does it, on which model and why, what it is expected to take.

    `held` is what one call of it will be held at, with the output it has to be allowed.
    """

    task: TaskSpec
    estimate: TaskEstimate
    route: Route | None
    held: Amounts = field(default_factory=dict[Unit, int])


@dataclass(frozen=True, slots=True)
class ProjectPlan:
    """The whole plan. `fits` is false when the ninetieth percentile exceeds a limit's room;
    `verdict` says so in words; `resets_at` is when the binding window resets; `ending` is when all
    is done, waiting for windows where it must, by the plan's limit that takes longest.
    """

    tasks: Mapping[TaskId, PlannedTask]
    groups: tuple[tuple[TaskId, ...], ...]
    critical_path: tuple[TaskId, ...]
    forecast: Forecast
    gauges: tuple[Gauge, ...]
    fits: bool
    verdict: str
    resets_at: float | None
    ending: Ending | None


class Planner:
    """Plans projects with the same router and governor that run them."""

    def __init__(self, router: Router, governor: Governor, estimates: Estimates) -> None:
        self._router = router
        self._governor = governor
        self._estimates = estimates

    async def plan(
        self,
        spec: ProjectSpec,
        graph: Graph,
        roles: Mapping[str, Role],
        run: RunId,
        folder: Path | None,
    ) -> ProjectPlan:
        """Plan all tasks of a project.

        Args:
            spec, graph, roles: the project.
            run: the run whose own ceilings count.
            folder: where the code lies, to know the size of what agents read; None: assumed.
        """
        limits = self._governor.run_limits(run, spec.budget)
        planned = {}
        for task_id in graph.order:
            task = spec.by_id[task_id]
            role = roles[task.agent] if task.agent else None
            planned[task_id] = await self._plan_task(task, role, limits, folder)
        estimates = {task: p.estimate for task, p in planned.items()}
        ahead = forecast(graph, estimates, spec.parallel)
        gauges = (await self._governor.status(limits)).gauges
        fits, verdict, resets_at = self._too_large(spec, planned, run) or _verdict(
            ahead, gauges, forecast(graph, self._of_strong(planned), spec.parallel)
        )
        ending = await self._ending(ahead)
        return ProjectPlan(
            tasks=planned,
            groups=graph.groups(),
            critical_path=graph.critical_path({t: e.expected_s for t, e in estimates.items()}),
            forecast=ahead,
            gauges=gauges,
            fits=fits,
            verdict=verdict,
            resets_at=resets_at,
            ending=ending,
        )

    async def _ending(self, ahead: Forecast) -> Ending | None:
        """The latest end by any of the plan's windows; others' use of them is not reckoned with."""
        limits = tuple(limit for limit in self._governor.ceilings.of_plan if not limit.tiers)
        balances, now = await self._governor.books(limits)
        endings = [
            project_end(work, ahead.seconds, balance, now)
            for balance in balances
            if (work := self._work(ahead, balance.limit.unit))
        ]
        never = float("inf")
        return max(endings, key=lambda end: never if end.p50 is None else end.p50, default=None)

    def _work(self, ahead: Forecast, unit: Unit) -> Band | None:
        match unit:
            case Unit.MESSAGES:
                return ahead.messages
            case Unit.MICROUSD:
                return ahead.cost_microusd
            case Unit.MILLIPOINTS:
                points_of, cost = self._governor.ceilings.plan.points_of, ahead.cost_microusd
                return Band(points_of(round(cost.p50)), points_of(round(cost.p90)))
            case _:
                return None

    def _too_large(
        self, spec: ProjectSpec, planned: Mapping[TaskId, PlannedTask], run: RunId
    ) -> tuple[bool, str, None] | None:
        """The verdict when a call is larger than a limit holds when it is empty."""
        for task, p in planned.items():
            if p.route is None:
                continue
            tier = self._router.catalogue.model(p.route.choice.model).tier
            for limit in self._governor.task_limits(run, spec.budget, p.task):
                wanted = limit.share_of(p.held, tier)
                if wanted > limit.cap and limit.lowered is None:
                    verdict = (
                        f"task {task} can never call: {limit.label} holds "
                        f"{show(limit.unit, limit.cap)}, a call of {p.route.choice.model} needs "
                        f"{show(limit.unit, wanted)}. {cure_of(limit.key)}"
                    )
                    return False, verdict, None
        return None

    def _of_strong(self, planned: Mapping[TaskId, PlannedTask]) -> dict[TaskId, TaskEstimate]:
        model = self._router.catalogue.model
        return {
            task: p.estimate
            for task, p in planned.items()
            if p.route and model(p.route.choice.model).tier in STRONG_TIERS
        }

    async def _plan_task(
        self, task: TaskSpec, role: Role | None, limits: tuple[Limit, ...], folder: Path | None
    ) -> PlannedTask:
        if role is None:
            return PlannedTask(task, TaskEstimate(task.id, 0, 1.0, 1, (), COMMAND_S), None)
        size = _size(task, folder)
        attempts = task.retry.retries + 1
        route = await self._router.route(task, role, limits, size_bytes=size)
        usage = expected_usage(role, task, size)
        after = max(1, task.retry.escalate_after)
        costs = []
        for failed in range(attempts):
            steps = failed // after if task.retry.escalate_after else 0
            stronger = await self._router.route(task, role, limits, size_bytes=size, escalate=steps)
            model = self._router.catalogue.model(stronger.choice.model)
            costs.append(model.cost_microusd(usage))
        success = next(
            (a.success for a in route.choice.alternatives if a.model == route.choice.model), PRIOR
        )
        seconds = FIRST_TOKEN_S + usage.output_tokens * SECONDS_PER_OUTPUT_TOKEN
        seconds += COMMAND_S * len(task.gates)
        return PlannedTask(
            task,
            TaskEstimate(task.id, 1, success, attempts, tuple(costs), seconds),
            route,
            await self._held(role, route.choice.model, usage.input_tokens),
        )

    async def _held(self, role: Role, model: str, read: int) -> Amounts:
        """What reads so much as is expected, and may write what it must be allowed."""
        request = ModelRequest(
            model=model, system="", messages=(), max_tokens=role.max_output_tokens
        )
        size = await self._estimates.least(request, role.name, read=read, may_lower=True)
        points = self._governor.ceilings.plan.points_of(size.bound[Unit.MICROUSD])
        return {**size.bound, Unit.MILLIPOINTS: points}


def _size(task: TaskSpec, folder: Path | None) -> int:
    """How many bytes the agent reads, by the files as they lie there."""
    if not task.files:
        return 0
    if folder is None or not folder.is_dir():
        return ASSUMED_FILE_BYTES * len(task.files)
    found = {path for glob in task.files for path in folder.glob(glob) if path.is_file()}
    return sum(path.stat().st_size for path in found)


def _verdict(
    ahead: Forecast, gauges: tuple[Gauge, ...], strong: Forecast
) -> tuple[bool, str, float | None]:
    for gauge in gauges:
        is_of_strong = gauge.key.rpartition("/")[2].startswith("strong-")
        needed = math.ceil(_needed(strong if is_of_strong else ahead, gauge))
        room = gauge.cap - gauge.spent - gauge.held
        if needed > room:
            verdict = (
                f"does not fit {gauge.label}: may need {show(gauge.unit, needed)} (P90), "
                f"{show(gauge.unit, max(0, room))} left"
            )
            return False, verdict, gauge.resets_at
    return True, "fits every limit, at the ninetieth percentile", None


def _needed(ahead: Forecast, gauge: Gauge) -> float:
    match gauge.unit:
        case Unit.MESSAGES:
            return ahead.messages.p90
        case Unit.MICROUSD:
            return ahead.cost_microusd.p90
        case _:
            return 0.0


def plan_to_json(plan: ProjectPlan) -> dict[str, Any]:
    """The plan as plain data; money in US dollars, times in seconds."""
    ahead = plan.forecast
    return {
        "schema": 1,
        "fits": plan.fits,
        "verdict": plan.verdict,
        "resets_at": plan.resets_at,
        "groups": [list(group) for group in plan.groups],
        "critical_path": list(plan.critical_path),
        "messages": {"p50": ahead.messages.p50, "p90": ahead.messages.p90},
        "cost_usd": {
            "p50": round(ahead.cost_microusd.p50 / MICRO, 6),
            "p90": round(ahead.cost_microusd.p90 / MICRO, 6),
        },
        "seconds": {"p50": round(ahead.seconds.p50, 1), "p90": round(ahead.seconds.p90, 1)},
        "sequential_s": round(ahead.sequential_s, 1),
        "ends_at": asdict(plan.ending) if plan.ending else None,
        "tasks": [
            {
                "task": task,
                "kind": planned.task.kind,
                "needs": list(planned.task.needs),
                "model": planned.route.choice.model if planned.route else None,
                "reason": planned.route.choice.reason if planned.route else None,
                "expected_messages": round(
                    planned.estimate.calls * planned.estimate.expected_attempts, 2
                ),
                "explanation": planned.route.explanation if planned.route else None,
            }
            for task, planned in plan.tasks.items()
        ],
    }
