"""Why a task is where it is, and why it has the model it has."""

from collections.abc import Mapping
from typing import Any

from helios.domain.ids import RunId, TaskId
from helios.domain.roles import Role
from helios.domain.workflow.ordering import Candidate, rank
from helios.domain.workflow.readiness import Readiness
from helios.domain.workflow.spec import ProjectSpec
from helios.domain.workflow.states import TaskState
from helios.ports.clock import Clock
from helios.ports.runs import AttemptRecord, RunStore, TaskRecord
from helios.services.execution import LiveProject
from helios.services.governor import Governor
from helios.services.router import Router

NOT_RUN = RunId("none.0")


class Explainer:
    """Answers `helios why`."""

    def __init__(self, runs: RunStore, router: Router, governor: Governor, clock: Clock) -> None:
        self._runs = runs
        self._router = router
        self._governor = governor
        self._clock = clock

    async def explain(
        self,
        task: TaskId,
        spec: ProjectSpec,
        roles: Mapping[str, Role],
        live: LiveProject | None,
    ) -> dict[str, Any]:
        """Everything known about a task, as plain data.

        Args:
            task: which task.
            spec, roles: the project, as it was when its newest run began if there is one.
            live: that run.
        """
        records = await self._runs.tasks(live.run) if live else ()
        by_id = {record.id: record for record in records}
        attempts = await self._runs.attempts(live.run, task) if live else ()
        record = by_id.get(task) or TaskRecord(task, TaskState.WAITING, "has not been run yet")
        chosen = next((a.choice for a in reversed(attempts) if a.choice), None)
        if chosen is None and not record.state.final:
            chosen = await self._tentative(task, spec, roles)
        return {
            "schema": 1,
            "task": task,
            "state": str(record.state),
            "reason": record.reason,
            "missing": self._missing(task, live, records),
            "rank": self._rank(record, live),
            "choice": chosen,
            "attempts": [_attempt(attempt) for attempt in attempts],
        }

    def _missing(
        self, task: TaskId, live: LiveProject | None, records: tuple[TaskRecord, ...]
    ) -> list[str]:
        if live is None:
            return []
        done = [record.id for record in records if record.state is TaskState.DONE]
        return list(Readiness(live.graph, done).missing(task))

    def _rank(self, record: TaskRecord, live: LiveProject | None) -> dict[str, Any] | None:
        if live is None or record.state is not TaskState.READY:
            return None
        spec = live.task(record.id)
        tails = live.graph.tail_lengths(dict.fromkeys(live.graph.order, 1.0))
        place = rank(
            Candidate(
                task=record.id,
                priority=spec.priority,
                ready_since=record.ready_at or self._clock.now(),
                tail_s=tails[record.id],
                longest_tail_s=max(tails.values()),
                failures=record.attempts,
                deadline=spec.deadline,
            ),
            self._clock.now(),
        )
        return {"score": round(place.score, 2), "parts": dict(place.parts)}

    async def _tentative(
        self, task: TaskId, spec: ProjectSpec, roles: Mapping[str, Role]
    ) -> dict[str, Any] | None:
        """What the router would choose now."""
        wanted = spec.by_id[task]
        if wanted.agent is None:
            return None
        limits = self._governor.run_limits(NOT_RUN, spec.budget)
        return (await self._router.route(wanted, roles[wanted.agent], limits)).explanation


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    ended = attempt.finished_at
    return {
        "number": attempt.number,
        "model": attempt.model,
        "failure": attempt.failure,
        "detail": attempt.detail,
        "seconds": None if ended is None else round(ended - attempt.started_at, 3),
    }
