"""Which of the ready tasks goes first.

A score in points, its parts kept so that `helios why` can show them:

    priority        10 for each step of priority (1..10)
    deadline        up to 60 as the slack shrinks to nothing, 80 when it is gone
    critical path   up to 30 for the task with the most work behind it
    ageing          1 for each minute of waiting, at most 40: nothing starves
    retry penalty   5 off for each failed attempt, at most 20
"""

from dataclasses import dataclass

from helios.domain.ids import TaskId

PRIORITY_POINTS = 10.0
URGENT_POINTS = 60.0
OVERDUE_POINTS = 80.0
CRITICAL_PATH_POINTS = 30.0
AGEING_POINTS_PER_S = 1.0 / 60.0
AGEING_MOST = 40.0
RETRY_POINTS = 5.0
RETRY_MOST = 20.0
DEADLINE_HORIZON_S = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ready task as the order sees it.

    `tail_s` is the expected work from this task's start to the end of the graph; `longest_tail_s`
    the same for the heaviest task of the run. Times are seconds; `deadline` is a UTC time.
    """

    task: TaskId
    priority: int
    ready_since: float
    tail_s: float
    longest_tail_s: float
    failures: int = 0
    deadline: float | None = None
    position: int = 0


@dataclass(frozen=True, slots=True)
class Rank:
    """A task's score and what it is made of."""

    task: TaskId
    score: float
    parts: tuple[tuple[str, float], ...]


def rank(candidate: Candidate, now: float) -> Rank:
    """The score of one candidate at `now`."""
    parts = (
        ("priority", PRIORITY_POINTS * candidate.priority),
        ("deadline", _urgency(candidate, now)),
        ("critical path", _criticality(candidate)),
        (
            "ageing",
            min(AGEING_MOST, max(0.0, now - candidate.ready_since) * AGEING_POINTS_PER_S),
        ),
        ("retry penalty", -min(RETRY_MOST, RETRY_POINTS * candidate.failures)),
    )
    return Rank(candidate.task, sum(points for _, points in parts), parts)


def in_order(candidates: tuple[Candidate, ...], now: float) -> tuple[Rank, ...]:
    """All candidates, the first to start first; ties keep the order of definition."""
    ranked = [(rank(candidate, now), candidate.position) for candidate in candidates]
    ranked.sort(key=lambda pair: (-pair[0].score, pair[1]))
    return tuple(found for found, _ in ranked)


def _urgency(candidate: Candidate, now: float) -> float:
    if candidate.deadline is None:
        return 0.0
    slack = candidate.deadline - now - candidate.tail_s
    if slack <= 0:
        return OVERDUE_POINTS
    return URGENT_POINTS * max(0.0, 1.0 - slack / DEADLINE_HORIZON_S)


def _criticality(candidate: Candidate) -> float:
    if candidate.longest_tail_s <= 0:
        return 0.0
    return CRITICAL_PATH_POINTS * candidate.tail_s / candidate.longest_tail_s
