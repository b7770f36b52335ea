"""The governor: admits every model call before it is made, and says how full the windows are."""

import asyncio
import math
from dataclasses import dataclass, replace

import structlog

from helios.domain.budget.cure import cure
from helios.domain.budget.ledger import BRAKE, Admission, Entry, Request, admit
from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.preset import STRONG_TIERS
from helios.domain.budget.throttle import Throttle
from helios.domain.budget.units import Amounts, Unit
from helios.domain.budget.zones import Health, Zone, health_of, stricter, zone_of
from helios.domain.ids import RunId
from helios.domain.pricing import Tier
from helios.domain.workflow.spec import BudgetSpec, TaskSpec
from helios.errors import BudgetExhausted
from helios.ports.budget import BudgetBook
from helios.ports.clock import Clock
from helios.ports.ledger import Ledger
from helios.services.calibrating import Calibrator, Learned
from helios.services.ceilings import Ceilings

RESET_MARGIN_S = 0.1
CALIBRATE_S = 10.0
REFRESH_S = 1.0
"""How old the rules and the brake may be that a decision rests on."""
RENEW_S = 0.5
"""How old they are when they are read again beside the calls, so that none waits for it."""
log = structlog.get_logger("helios.budget")


@dataclass(frozen=True, slots=True)
class ProviderWord:
    """What the provider says of a window: a share (0..1), from where and how many seconds old, what
    Helios concludes from it, and a warning when the window seems to have changed its size.
    """

    used: float
    source: str
    age_s: float
    conclusion: str
    drift: str = ""


@dataclass(frozen=True, slots=True)
class Gauge:
    """One limit as people read it. `source` says where the figure comes from and `age_s` how old
    it is; `resets_at` is None when the window never closes or is not open yet; only `zoned` limits
    throttle as they fill.
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
    zoned: bool = False
    provider: ProviderWord | None = None
    source: str = "Helios's ledger"
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """All gauges of a plan and of a run, the strictest zone among the zoned ones and the brake's,
    and the brake itself while it holds.
    """

    gauges: tuple[Gauge, ...]
    zone: Zone
    used: float
    strong_share_used: float
    at: float
    brake: Throttle | None = None


class Governor:
    """Admits every model call before it is made."""

    def __init__(
        self,
        ledger: Ledger,
        ceilings: Ceilings,
        clock: Clock,
        book: BudgetBook,
        calibrator: Calibrator | None = None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._book = book
        self._calibrator = calibrator
        self._calibrated_at = -math.inf
        self._read_at = -math.inf
        self._reading: asyncio.Task[None] | None = None
        self._brake: Throttle | None = None
        self.ceilings = ceilings

    def run_limits(self, run: RunId, budget: BudgetSpec) -> tuple[Limit, ...]:
        """The limits of a run's account and the run's own ceilings."""
        return self.ceilings.of_run(run, budget)

    def task_limits(self, run: RunId, budget: BudgetSpec, task: TaskSpec) -> tuple[Limit, ...]:
        """The run's limits and the task's envelope."""
        return self.ceilings.of_task(run, budget, task)

    async def refresh(self, *, now: bool = False) -> Throttle | None:
        """Take note of rules and the brake as they were a second ago or later, with `now` as they
        are; the brake if it holds. One read serves all who wait.

        Raises:
            StoreError: they are older and cannot be read; nothing is admitted by what may not hold.
        """
        asked_at = self._clock.monotonic()
        if now:
            await self._read_anew()
        elif asked_at - self._read_at >= RENEW_S:
            self._renewal()
            while asked_at - self._read_at >= REFRESH_S:
                reading = self._renewal()
                await asyncio.wait((reading,))
                reading.result()
        holds = self._brake and self._brake.holds(self._clock.now())
        return self._brake if holds else None

    async def _read_anew(self) -> None:
        if self._reading:  # may have begun before what is to be seen was set
            await asyncio.wait((self._reading,))
        reading = self._renewal()
        await asyncio.wait((reading,))
        reading.result()
        await self._calibrate(now=True)

    def _renewal(self) -> asyncio.Task[None]:
        """The read that is under way, or a new one; it goes on without who asked for it."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read())
            self._reading.add_done_callback(_note_failure)
        return self._reading

    async def _read(self) -> None:
        began_at = self._clock.monotonic()
        rules = await self._book.limit_rules()
        self._brake = await self._book.throttle()
        self.ceilings.rules = rules
        await self._calibrate(now=False)
        self._read_at = began_at

    async def _calibrate(self, *, now: bool) -> None:
        at = self._clock.monotonic()
        if self._calibrator and (now or at - self._calibrated_at >= CALIBRATE_S):
            self.ceilings.learned = await self._calibrator.learn(self.ceilings.as_set)
            self._calibrated_at = at

    async def request(
        self, request: Request, limits: tuple[Limit, ...], *, wait_s: float = 30.0
    ) -> Admission:
        """Reserve, waiting up to `wait_s` seconds while room is only held and not yet spent.

        Raises:
            BudgetExhausted: the limit is reached; says which and when it resets.
        """
        answer = await self.reserve(request, limits, wait_s=wait_s)
        if not answer.granted:
            raise exhausted(answer)
        return answer

    async def reserve(
        self, request: Request, limits: tuple[Limit, ...], *, wait_s: float = 0.0
    ) -> Admission:
        """The same, with a refusal as an answer."""
        deadline = self._clock.monotonic() + wait_s
        seen: int | None = None
        while True:
            brake = await self.refresh()
            if brake and brake.level == "paused":
                return _paused(brake)
            answer = await self._ledger.reserve(self._as_judged(request, brake), limits)
            if brake and answer.binding == BRAKE:
                return replace(answer, resets_at=brake.until)
            if answer.granted or not answer.waits or self._clock.monotonic() >= deadline:
                return answer
            if seen is not None:
                left_s = deadline - self._clock.monotonic()
                await self._ledger.wait_for_room(min(left_s, self._resets_in_s(answer)), seen)
            # Taken before asking once more, so that what is freed meanwhile is not missed.
            seen = await self._ledger.version()

    def _resets_in_s(self, answer: Admission) -> float:
        """Until a new window makes room; the ledger may go by another clock."""
        resets_at = math.inf if answer.resets_at is None else answer.resets_at
        return max(resets_at - self._clock.now(), RESET_MARGIN_S)

    async def fits(
        self, estimate: Amounts, tier: Tier, priority: int, limits: tuple[Limit, ...]
    ) -> Admission:
        """Whether such a call would be admitted now; nothing is reserved."""
        brake = await self.refresh()
        if brake and brake.level == "paused":
            return _paused(brake)
        balances = await self._ledger.balances(limits)
        now = await self._ledger.now()
        asked = self._as_judged(Request("", tier, estimate, priority=priority), brake)
        answer = admit(asked, balances, now)
        if brake and answer.binding == BRAKE:
            return replace(answer, resets_at=brake.until)
        return answer

    async def settle(self, request_id: str, fence: int, actual: Amounts) -> Entry:
        """Charge what the provider reported, in points too."""
        return await self._ledger.settle(request_id, fence, self._with_points(actual))

    async def record(self, request: Request, limits: tuple[Limit, ...]) -> Entry:
        """Book what was spent without having been asked for, once, in points too."""
        booked = replace(request, estimate=self._with_points(request.estimate))
        return await self._ledger.record(booked, limits)

    def _as_judged(self, request: Request, brake: Throttle | None) -> Request:
        floor = brake.floor if brake else Zone.NORMAL
        estimate = self._with_points(request.estimate)
        if estimate is request.estimate and floor is request.floor:
            return request
        return replace(request, estimate=estimate, floor=floor)

    def _with_points(self, amounts: Amounts) -> Amounts:
        points = self.ceilings.plan.points_of(amounts.get(Unit.MICROUSD, 0))
        return {**amounts, Unit.MILLIPOINTS: points} if points else amounts

    async def status(self, limits: tuple[Limit, ...] | None = None) -> BudgetStatus:
        """How full everything is; without limits, everybody's."""
        brake = await self.refresh()
        balances = await self._ledger.balances(limits or self.ceilings.of_account())
        now = await self._ledger.now()
        learned = self.ceilings.learned
        gauges = tuple(_gauge(b, learned.get(b.limit.key), now) for b in balances)
        zoned = [b for b in balances if b.limit.zoned]
        tightest = max(zoned, key=lambda b: b.used, default=None)
        strong = [b.used for b in balances if b.limit.tiers == STRONG_TIERS]
        zone = zone_of(tightest.used, tightest.limit.thresholds) if tightest else Zone.NORMAL
        return BudgetStatus(
            gauges=gauges,
            zone=stricter(zone, brake.floor) if brake else zone,
            used=tightest.used if tightest else 0.0,
            strong_share_used=max(strong, default=0.0),
            at=now,
            brake=brake,
        )

    async def books(self, limits: tuple[Limit, ...]) -> tuple[tuple[Balance, ...], float]:
        """The books of these limits in their current windows, and the ledger's time."""
        return await self._ledger.balances(limits), await self._ledger.now()

    async def history(self, limit_key: str, most: int = 24) -> tuple[Balance, ...]:
        """Past windows of a limit, the newest first."""
        return await self._ledger.history(limit_key, most)


def _note_failure(reading: asyncio.Task[None]) -> None:
    """Who waits for it is told; often nobody does."""
    if not reading.cancelled() and (error := reading.exception()):
        log.warning("limits not read", error=str(error))


def exhausted(answer: Admission) -> BudgetExhausted:
    """The refusal as an error with its cure."""
    resets_at = answer.resets_at if answer.resets_at not in (None, float("inf")) else None
    return BudgetExhausted(answer.reason, resets_at=resets_at, next_step=cure(answer))


def _gauge(balance: Balance, learned: Learned | None, now: float) -> Gauge:
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
        zoned=limit.zoned,
        provider=_word(learned, now) if learned else None,
    )


def _paused(brake: Throttle) -> Admission:
    by = f" by {brake.by}" if brake.by else ""
    return Admission(
        granted=False,
        zone=Zone.CRITICAL,
        reason=f"paused{by}: {brake.reason}" if brake.reason else f"all calls are paused{by}",
        binding=BRAKE,
        resets_at=brake.until,
    )


def _word(learned: Learned, now: float) -> ProviderWord:
    signal, drift = learned.signal, learned.calibration.drift
    return ProviderWord(
        used=signal.used,
        source=signal.source,
        age_s=signal.age_s(now),
        conclusion=learned.correction.reason,
        drift=drift.sentence(learned.calibration.unit) if drift else "",
    )
