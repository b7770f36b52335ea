"""What a run came to: counts, tokens and dollars by model, time, and what it would have cost
otherwise.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from helios.domain.ids import TaskId
from helios.domain.pricing import Catalogue, Tier
from helios.domain.usage import Usage
from helios.domain.workflow.graph import Graph
from helios.domain.workflow.states import RunState, TaskState
from helios.ports.runs import AttemptRecord, CallRecord, RunRecord, RunStore, TaskRecord


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What one model did. Money in millionths of a dollar."""

    model: str
    tier: str
    messages: int
    usage: Usage
    cost_microusd: int


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The figures of a run. Times are seconds.

    retries: attempts after the first, of all tasks.
    escalations: attempts that asked a stronger model than the attempt before.
    always_strong_microusd: the same calls at the strong model's prices.
    busy_s: time in which at least one task was at work; work_s: all attempts one after another.
    critical_path: the chain of tasks that decided how long it took.
    """

    run: RunRecord
    tasks: tuple[TaskRecord, ...]
    states: dict[TaskState, int]
    attempts: int
    retries: int
    escalations: int
    models: tuple[ModelUse, ...]
    messages: int
    usage: Usage
    cost_microusd: int
    always_strong_microusd: int
    busy_s: float
    work_s: float
    critical_path: tuple[TaskId, ...]
    simulated: bool

    @property
    def speed_up(self) -> float:
        """How much faster than one task after another."""
        return self.work_s / self.busy_s if self.busy_s > 0 else 1.0

    @property
    def saved(self) -> float:
        """The share saved against the strong model for every call, 0..1."""
        if self.always_strong_microusd <= 0:
            return 0.0
        return 1.0 - self.cost_microusd / self.always_strong_microusd


def in_state(summary: RunSummary, state: RunState) -> RunSummary:
    """The figures of a run that is about to be in this state."""
    return replace(summary, run=replace(summary.run, state=state))


async def summarise(
    run: RunRecord, runs: RunStore, graph: Graph, catalogue: Catalogue
) -> RunSummary:
    """Add up what the record says about a run."""
    tasks = await runs.tasks(run.id)
    attempts = await runs.attempts(run.id)
    calls = await runs.calls(run.id)
    spans = _spans(attempts)
    own_time = {task.id: 0.0 for task in tasks}
    for attempt in attempts:
        if attempt.finished_at is not None:
            own_time[attempt.task] += attempt.finished_at - attempt.started_at
    return RunSummary(
        run=run,
        tasks=tasks,
        states=dict(Counter(task.state for task in tasks)),
        attempts=len(attempts),
        retries=sum(1 for attempt in attempts if attempt.number > 1),
        escalations=_escalations(attempts),
        models=_by_model(calls),
        messages=len(calls),
        usage=sum((call.usage for call in calls), Usage()),
        cost_microusd=sum(call.cost_microusd for call in calls),
        always_strong_microusd=_at_strong_prices(calls, catalogue),
        busy_s=_union(spans),
        work_s=sum(end - start for start, end in spans),
        critical_path=graph.critical_path(own_time),
        simulated=run.simulated or any(call.simulated for call in calls),
    )


def _spans(attempts: Iterable[AttemptRecord]) -> list[tuple[float, float]]:
    return [(a.started_at, a.finished_at) for a in attempts if a.finished_at is not None]


def _union(spans: Iterable[tuple[float, float]]) -> float:
    """The length of time covered by at least one span."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def _escalations(attempts: Sequence[AttemptRecord]) -> int:
    count = 0
    before: dict[TaskId, AttemptRecord] = {}
    for attempt in sorted(attempts, key=lambda a: (a.task, a.number)):
        last = before.get(attempt.task)
        if last and last.model and attempt.model and _rank(attempt) > _rank(last):
            count += 1
        before[attempt.task] = attempt
    return count


def _rank(attempt: AttemptRecord) -> int:
    return Tier(attempt.choice["tier"]).rank if attempt.choice else -1


def _by_model(calls: Sequence[CallRecord]) -> tuple[ModelUse, ...]:
    names = dict.fromkeys((call.model, call.tier) for call in calls)
    uses = []
    for model, tier in names:
        own = [call for call in calls if call.model == model]
        usage = sum((call.usage for call in own), Usage())
        uses.append(ModelUse(model, tier, len(own), usage, sum(c.cost_microusd for c in own)))
    return tuple(sorted(uses, key=lambda use: Tier(use.tier).rank))


def _at_strong_prices(calls: Sequence[CallRecord], catalogue: Catalogue) -> int:
    strong = catalogue.of_tier(Tier.STRONG)
    if strong is None:
        return 0
    return sum(max(strong.cost_microusd(call.usage), 0) for call in calls)
