"""The governor: which limits bind a call, whether it is admitted, and how full the windows are."""

from dataclasses import dataclass

from helios.domain.budget.ledger import Admission, Request, admit
from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.preset import STRONG_TIERS, Plan, plan_limits, share_of_cap
from helios.domain.budget.units import Amounts, Unit
from helios.domain.budget.window import Forever
from helios.domain.budget.zones import Health, Zone, health_of, zone_of
from helios.domain.ids import RunId
from helios.domain.pricing import MICRO, Tier
from helios.domain.workflow.spec import BudgetSpec, TaskSpec
from helios.errors import BudgetExhausted
from helios.ports.clock import Clock
from helios.ports.ledger import Ledger

POLL_S = 0.1
DEFAULT_CALLS_PER_ATTEMPT = 1


@dataclass(frozen=True, slots=True)
class Gauge:
    """One limit as people read it. `source` says where the figure comes from and `age_s` how old
    it is; `resets_at` is None when the window never closes or is not open yet.
    """

    key: str
    label: str
    unit: Unit
    cap: int
    spent: int
    held: int
    used: float
    zone: Zone
    health: Health
    opened_at: float | None
    resets_at: float | None
    source: str = "Helios's ledger"
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """All gauges of a plan and of a run, and the strictest zone among the zoned ones."""

    gauges: tuple[Gauge, ...]
    zone: Zone
    used: float
    strong_share_used: float
    at: float


class Governor:
    """Admits every model call before it is made."""

    def __init__(self, ledger: Ledger, plan: Plan, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self.plan = plan
        self.plan_limits = plan_limits(plan)

    def run_limits(self, run: RunId, budget: BudgetSpec) -> tuple[Limit, ...]:
        """The plan's limits and the run's own ceilings."""
        return (*self.plan_limits, *_own_limits(run, budget))

    def task_limits(self, run: RunId, budget: BudgetSpec, task: TaskSpec) -> tuple[Limit, ...]:
        """The run's limits and the task's envelope: no task may call without end."""
        calls = task.messages or DEFAULT_CALLS_PER_ATTEMPT * (task.retry.retries + 1)
        envelope = _total(f"run/{run}/task/{task.id}", Unit.MESSAGES, calls, f"task {task.id}")
        return (*self.run_limits(run, budget), envelope)

    async def request(
        self, request: Request, limits: tuple[Limit, ...], *, wait_s: float = 30.0
    ) -> Admission:
        """Reserve, waiting up to `wait_s` seconds while room is only held and not yet spent.

        Raises:
            BudgetExhausted: the limit is reached; says which and when it resets.
        """
        deadline = self._clock.monotonic() + wait_s
        while True:
            answer = await self._ledger.reserve(request, limits)
            if answer.granted:
                return answer
            if not answer.waits or self._clock.monotonic() >= deadline:
                raise exhausted(answer)
            await self._clock.sleep(POLL_S)

    async def fits(
        self, estimate: Amounts, tier: Tier, priority: int, limits: tuple[Limit, ...]
    ) -> Admission:
        """Whether such a call would be admitted now; nothing is reserved."""
        balances = await self._ledger.balances(limits)
        now = await self._ledger.now()
        return admit(Request("", tier, estimate, priority=priority), balances, now)

    async def status(self, limits: tuple[Limit, ...] | None = None) -> BudgetStatus:
        """How full everything is."""
        balances = await self._ledger.balances(limits or self.plan_limits)
        gauges = tuple(_gauge(balance) for balance in balances)
        zoned = [b for b in balances if b.limit.zoned]
        tightest = max(zoned, key=lambda b: b.used, default=None)
        strong = [b.used for b in balances if b.limit.tiers == STRONG_TIERS]
        return BudgetStatus(
            gauges=gauges,
            zone=zone_of(tightest.used, tightest.limit.thresholds) if tightest else Zone.NORMAL,
            used=tightest.used if tightest else 0.0,
            strong_share_used=max(strong, default=0.0),
            at=await self._ledger.now(),
        )

    async def history(self, limit_key: str) -> tuple[Balance, ...]:
        """Past windows of a limit, the newest first."""
        return await self._ledger.history(limit_key)


def exhausted(answer: Admission) -> BudgetExhausted:
    """The refusal as an error with its cure."""
    resets_at = answer.resets_at if answer.resets_at not in (None, float("inf")) else None
    cure = (
        "It goes on when the window resets."
        if resets_at is not None
        else "Raise this limit under `budget:` in helios.yaml and resume."
    )
    return BudgetExhausted(answer.reason, resets_at=resets_at, next_step=cure)


def _own_limits(run: RunId, budget: BudgetSpec) -> tuple[Limit, ...]:
    scope = f"run/{run}"
    limits: list[Limit] = []
    if budget.messages is not None:
        limits.append(_total(scope, Unit.MESSAGES, budget.messages, "this run's messages"))
    if budget.cost_usd is not None:
        cap = round(budget.cost_usd * MICRO)
        limits.append(_total(scope, Unit.MICROUSD, cap, "this run's cost"))
    if budget.strong_share is not None and budget.messages is not None:
        limits.append(
            Limit(
                key=f"{scope}/strong-messages",
                unit=Unit.MESSAGES,
                cap=share_of_cap(budget.messages, budget.strong_share),
                window=Forever(),
                window_key=scope,
                label="strong share of this run",
                tiers=STRONG_TIERS,
            )
        )
    return tuple(limits)


def _total(scope: str, unit: Unit, cap: int, label: str) -> Limit:
    return Limit(
        key=f"{scope}/{unit}",
        unit=unit,
        cap=cap,
        window=Forever(),
        window_key=scope,
        label=label,
    )


def _gauge(balance: Balance) -> Gauge:
    limit, window = balance.limit, balance.window
    used_anything = balance.spent + balance.held > 0
    closes = window.closes_at if window.closes_at != float("inf") and used_anything else None
    return Gauge(
        key=limit.key,
        label=limit.label,
        unit=limit.unit,
        cap=limit.cap,
        spent=balance.spent,
        held=balance.held,
        used=balance.used,
        zone=zone_of(balance.used, limit.thresholds),
        health=health_of(balance.used, limit.thresholds),
        opened_at=window.opened_at if used_anything else None,
        resets_at=closes,
    )
