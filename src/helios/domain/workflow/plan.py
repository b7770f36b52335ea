"""What a project will take before anything is spent: messages, dollars, time, as P50 and P90.

Each agent task is a truncated geometric number of attempts: it succeeds with probability p, at
most retries + 1 times. Message counts are convolved exactly (in large projects normally
approximated); cost and time use the same distribution of attempts, each attempt at its expected
price and length.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from helios.domain.ids import TaskId
from helios.domain.workflow.graph import Graph

EXACT_UP_TO = 200
"""So many agent tasks are convolved exactly; more are normal enough (central limit theorem)."""
P90_SIGMAS = 1.2816
"""The ninetieth percentile of the normal distribution."""


@dataclass(frozen=True, slots=True)
class TaskEstimate:
    """What one task takes: the chance of success of an attempt, and an attempt's price and length.

    `calls` is the number of model calls of one attempt (0 for a task without a model);
    `step_costs` are the costs of attempts 1, 2, ... in millionths of a dollar.
    """

    task: TaskId
    calls: int
    success: float
    attempts: int
    step_costs: tuple[int, ...]
    attempt_s: float

    def attempt_distribution(self) -> tuple[float, ...]:
        """P(the task ends after exactly k attempts), k = 1, 2, ..."""
        if self.calls == 0:
            return (1.0,)
        fail = 1.0 - self.success
        probabilities = [fail**k * self.success for k in range(self.attempts - 1)]
        return (*probabilities, 1.0 - sum(probabilities))

    @property
    def expected_attempts(self) -> float:
        """The mean number of attempts."""
        return sum(k * p for k, p in enumerate(self.attempt_distribution(), start=1))

    @property
    def expected_s(self) -> float:
        """The mean length in seconds, all attempts together."""
        return self.attempt_s * self.expected_attempts


@dataclass(frozen=True, slots=True)
class Band:
    """A median and a ninetieth percentile."""

    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is left of a project will take."""

    messages: Band
    cost_microusd: Band
    seconds: Band
    sequential_s: float


def forecast(graph: Graph, estimates: Mapping[TaskId, TaskEstimate], slots: int) -> Forecast:
    """Add the tasks of `estimates` up along the graph; tasks left out count as done."""
    left = [estimates[task] for task in graph.order if task in estimates]
    expected = {e.task: e.expected_s for e in left}
    length = schedule_length(graph, expected, slots)
    return Forecast(
        messages=_messages(left),
        cost_microusd=_costs(left),
        seconds=Band(length, length + P90_SIGMAS * _spread_s(graph, left, expected, slots)),
        sequential_s=sum(expected.values()),
    )


def schedule_length(graph: Graph, seconds: Mapping[TaskId, float], slots: int) -> float:
    """How long the tasks take with `slots` at a time, the longest tail first (list scheduling)."""
    tail = graph.tail_lengths({task: seconds.get(task, 0.0) for task in graph.order})
    place = {task: number for number, task in enumerate(graph.order)}
    missing = {task: len(graph.needs[task]) for task in graph.order}
    ready = [(-tail[task], place[task]) for task in graph.order if missing[task] == 0]
    heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < max(1, slots):
            number = heappop(ready)[1]
            heappush(running, (now + seconds.get(graph.order[number], 0.0), number))
        now, ended = heappop(running)
        for dependent in graph.dependents[graph.order[ended]]:
            missing[dependent] -= 1
            if missing[dependent] == 0:
                heappush(ready, (-tail[dependent], place[dependent]))
    return now


def _spread_s(
    graph: Graph, left: list[TaskEstimate], expected: Mapping[TaskId, float], slots: int
) -> float:
    """The standard deviation of the schedule: what the slots share evens out, but the critical
    path shares nothing.
    """
    variance = {e.task: _attempt_variance(e) * e.attempt_s**2 for e in left}
    path = graph.critical_path({task: expected.get(task, 0.0) for task in graph.order})
    alone = math.sqrt(sum(variance.get(task, 0.0) for task in path))
    shared = math.sqrt(sum(variance.values())) / max(1, min(slots, len(left)))
    return max(alone, shared)


def _attempt_variance(estimate: TaskEstimate) -> float:
    mean = estimate.expected_attempts
    return sum(p * (k - mean) ** 2 for k, p in enumerate(estimate.attempt_distribution(), start=1))


def _messages(estimates: Iterable[TaskEstimate]) -> Band:
    asking = [estimate for estimate in estimates if estimate.calls]
    if len(asking) > EXACT_UP_TO:
        mean = sum(e.calls * e.expected_attempts for e in asking)
        spread = math.sqrt(sum(e.calls**2 * _attempt_variance(e) for e in asking))
        return Band(round(mean), math.ceil(mean + P90_SIGMAS * spread))
    total = [1.0]
    for estimate in asking:
        chances = estimate.attempt_distribution()
        grown = [0.0] * (len(total) + estimate.calls * len(chances))
        for count, chance in enumerate(total):
            for k, p in enumerate(chances, start=1):
                grown[count + estimate.calls * k] += chance * p
        total = grown
    return Band(_quantile(total, 0.5), _quantile(total, 0.9))


def _quantile(distribution: list[float], q: float) -> int:
    seen = 0.0
    for value, chance in enumerate(distribution):
        seen += chance
        if seen >= q - 1e-9:
            return value
    return len(distribution) - 1


def _costs(estimates: Iterable[TaskEstimate]) -> Band:
    mean = variance = 0.0
    for estimate in estimates:
        if not estimate.calls:
            continue
        totals = [sum(estimate.step_costs[:k]) for k in range(1, len(estimate.step_costs) + 1)]
        pairs = list(zip(estimate.attempt_distribution(), totals, strict=True))
        own = sum(p * cost for p, cost in pairs)
        mean += own
        variance += sum(p * (cost - own) ** 2 for p, cost in pairs)
    return Band(mean, mean + P90_SIGMAS * math.sqrt(variance))
