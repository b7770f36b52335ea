"""Which limits bind whom: the plan's, those of accounts, a run's own and a task's envelope."""

from collections.abc import Mapping
from dataclasses import replace

from helios.domain.budget.account import ROOT, LimitRule, account_limits
from helios.domain.budget.limit import Limit
from helios.domain.budget.preset import (
    STRONG_TIERS,
    Plan,
    human_reserve,
    plan_limits,
    share_of_cap,
)
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever
from helios.domain.ids import RunId, TaskId
from helios.domain.pricing import MICRO
from helios.domain.workflow.spec import BudgetSpec, TaskSpec
from helios.services.calibrating import Learned, corrected

DEFAULT_CALLS_PER_ATTEMPT = 1


class Ceilings:
    """The limits of one plan, with the rules people set on accounts laid over them.

    `kept_for_people` is the share (0..1) of each of the plan's windows that agents leave alone.
    """

    def __init__(
        self, plan: Plan, kept_for_people: float = 0.0, *, simulated: bool = False
    ) -> None:
        self.plan = plan
        self._simulated = simulated
        self._of_plan = plan_limits(plan)
        self._of_agents = human_reserve(plan, kept_for_people)
        self._learned: Mapping[str, Learned] = {}
        self._rules: tuple[LimitRule, ...] = ()
        self._known: dict[tuple[str, bool], tuple[Limit, ...]] = {}

    @property
    def rules(self) -> tuple[LimitRule, ...]:
        """What people set on accounts."""
        return self._rules

    @rules.setter
    def rules(self, rules: tuple[LimitRule, ...]) -> None:
        self._rules = rules
        self._known.clear()

    @property
    def learned(self) -> Mapping[str, Learned]:
        """What the provider's figures say of the plan's windows, by the key of the limit."""
        return self._learned

    @learned.setter
    def learned(self, learned: Mapping[str, Learned]) -> None:
        self._learned = learned
        self._known.clear()

    @property
    def as_set(self) -> tuple[Limit, ...]:
        """The plan's limits before any correction."""
        return self._of_plan

    @property
    def of_plan(self) -> tuple[Limit, ...]:
        """The plan's limits, their caps as the provider's figures have them now."""
        return tuple(corrected(limit, self.learned) for limit in self._of_plan)

    def of_account(self, account: str = ROOT, *, for_person: bool = False) -> tuple[Limit, ...]:
        """The plan's limits and those of an account and everybody above it."""
        known = self._known.get((account, for_person))
        if known is None:
            known = self._known[account, for_person] = self._found(account, for_person=for_person)
        return known

    def _found(self, account: str, *, for_person: bool) -> tuple[Limit, ...]:
        agents = () if for_person else self._of_agents
        of_accounts = account_limits(account, self.rules)
        if self._simulated:
            of_accounts = tuple(_simulated(limit) for limit in of_accounts)
        return (*self.of_plan, *agents, *of_accounts)

    def of_everybody(self) -> tuple[Limit, ...]:
        """The plan's limits and those of every account there is a rule for."""
        accounts = sorted({ROOT, *(rule.account for rule in self.rules)})
        all_limits = (limit for account in accounts for limit in self.of_account(account))
        return tuple({limit.key: limit for limit in all_limits}.values())

    def of_run(self, run: RunId, budget: BudgetSpec) -> tuple[Limit, ...]:
        """Those of the run's account, and the run's own."""
        return (*self.of_account(budget.account), *_own_limits(run, budget))

    def of_task(self, run: RunId, budget: BudgetSpec, task: TaskSpec) -> tuple[Limit, ...]:
        """The run's limits and the task's envelope: no task may call without end."""
        calls = task.messages or DEFAULT_CALLS_PER_ATTEMPT * (task.retry.retries + 1)
        envelope = _total(_envelope(run, task.id), Unit.MESSAGES, calls, f"task {task.id}")
        return (*self.of_run(run, budget), envelope)


def with_room_to_resend(
    limits: tuple[Limit, ...], run: RunId, task: TaskId, lost: int
) -> tuple[Limit, ...]:
    """The same with a task's envelope wider by what crashes took of it.

    A call that was sent and whose answer a crash took is spent everywhere; only the envelope, which
    bounds how often a task tries, is not for the user to fill up again.
    """
    envelope = f"{_envelope(run, task)}/{Unit.MESSAGES}"
    return tuple(
        replace(limit, cap=limit.cap + lost) if lost and limit.key == envelope else limit
        for limit in limits
    )


def _envelope(run: RunId, task: TaskId) -> str:
    return f"run/{run}/task/{task}"


def _simulated(limit: Limit) -> Limit:
    """The same ceiling with books of its own."""
    return replace(limit, key=f"simulated/{limit.key}", window_key=f"simulated/{limit.window_key}")


def _own_limits(run: RunId, budget: BudgetSpec) -> tuple[Limit, ...]:
    scope = f"run/{run}"
    limits: list[Limit] = []
    if budget.messages is not None:
        limits.append(_total(scope, Unit.MESSAGES, budget.messages, "this run's messages"))
    if budget.cost_usd is not None:
        cap = round(budget.cost_usd * MICRO)
        limits.append(_total(scope, Unit.MICROUSD, cap, "this run's cost"))
    if budget.strong_share is not None and limits:
        limits.append(_strong_part(limits[0], budget.strong_share))
    return tuple(limits)


def _strong_part(whole: Limit, share: float) -> Limit:
    """The strong models' share (0..1) of a run's own ceiling."""
    return replace(
        whole,
        key=f"{whole.window_key}/strong-{whole.unit}",
        cap=share_of_cap(whole.cap, share),
        label="strong share of this run",
        tiers=STRONG_TIERS,
    )


def _total(scope: str, unit: Unit, cap: int, label: str) -> Limit:
    return Limit(
        key=f"{scope}/{unit}",
        unit=unit,
        cap=cap,
        window=Forever(),
        window_key=scope,
        label=label,
    )
