"""The router: chooses a model for an attempt and keeps the reasons."""

from dataclasses import dataclass
from typing import Any

from helios.domain.budget.limit import Limit
from helios.domain.pricing import Catalogue
from helios.domain.roles import Role
from helios.domain.routing.choice import RouteChoice, RoutingInput, choose
from helios.domain.routing.complexity import complexity
from helios.domain.routing.expectation import mean_usage
from helios.domain.routing.explanation import explain
from helios.domain.routing.learning import learn
from helios.domain.usage import Usage
from helios.domain.workflow.spec import TaskSpec
from helios.ports.runs import RunStore
from helios.services.governor import Governor


@dataclass(frozen=True, slots=True)
class Route:
    """A choice and its stored explanation."""

    choice: RouteChoice
    explanation: dict[str, Any]


class Router:
    """Routes attempts by the classic rules, on what was learnt from this user's own outcomes.

    `simulated` says which outcomes: those of simulated runs, or the real ones.
    """

    def __init__(
        self, catalogue: Catalogue, governor: Governor, runs: RunStore, *, simulated: bool
    ) -> None:
        self.catalogue = catalogue
        self._governor = governor
        self._runs = runs
        self._simulated = simulated

    async def route(
        self,
        task: TaskSpec,
        role: Role,
        limits: tuple[Limit, ...],
        *,
        size_bytes: int = 0,
        escalate: int = 0,
    ) -> Route:
        """Choose for one attempt.

        Args:
            task: what is to be done.
            role: who does it.
            limits: what bounds its calls, for the state of the budget.
            size_bytes: how much code the agent reads.
            escalate: how many tiers above the first choice.
        """
        status = await self._governor.status(limits)
        learned = learn(await self._runs.outcomes(simulated=self._simulated))
        wish = RoutingInput(
            task_type=role.task_type,
            complexity=complexity(
                task_type=role.task_type,
                text=task.prompt,
                size_bytes=size_bytes,
                needs=len(task.needs),
            ),
            priority=task.priority,
            used=status.used,
            zone=status.zone,
            strong_share_used=status.strong_share_used,
            expected=expected_usage(role, task, size_bytes),
            pinned=task.model,
            minimum_tier=role.minimum_tier,
            escalate=escalate,
        )
        choice = choose(wish, self.catalogue, learned)
        return Route(choice, explain(choice, role.task_type))


def expected_usage(role: Role, task: TaskSpec, size_bytes: int) -> Usage:
    """What one attempt is expected to read and write, in tokens: a mean, not a bound."""
    read = len(role.instructions.encode()) + len(task.prompt.encode()) + size_bytes
    return mean_usage(read, role.max_output_tokens)
