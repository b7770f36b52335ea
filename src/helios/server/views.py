"""What callers read: answers as plain data. Times are UTC seconds, percentages 0 to 100."""

from typing import Literal, Self

from pydantic import BaseModel

from helios.domain.budget.limit import Balance
from helios.domain.budget.signal import Signal
from helios.domain.budget.spend import SpendTotal
from helios.domain.budget.throttle import Level, Throttle
from helios.domain.budget.units import Unit
from helios.domain.budget.window import NEVER
from helios.domain.budget.zones import Health, Zone
from helios.domain.pricing import MICRO, Tier
from helios.domain.usage import Usage
from helios.services.allocations import Allocation
from helios.services.governor import BudgetStatus, Gauge, ProviderWord
from helios.services.spending import Metrics

Standing = Literal["normal", "throttle", "critical", "paused"]


def percent(share: float) -> float:
    """A share (0..1) as a percentage."""
    return round(share * 100, 2)


def finite(at: float | None) -> float | None:
    """A time; None when it never comes."""
    return None if at is None or at == NEVER else at


class WordView(BaseModel):
    """What the provider says of a window, and what Helios concludes; `drift` warns that the window
    seems to have changed its size.
    """

    usage_percentage: float
    source: str
    age_s: float
    conclusion: str
    drift: str

    @classmethod
    def of(cls, word: ProviderWord) -> Self:
        """The provider's word as data."""
        return cls(
            usage_percentage=percent(word.used),
            source=word.source,
            age_s=round(word.age_s, 3),
            conclusion=word.conclusion,
            drift=word.drift,
        )


class GaugeView(BaseModel):
    """One limit. Only `zoned` ones throttle as they fill; `age_s` is how old the figure was when it
    was read.
    """

    key: str
    label: str
    unit: Unit
    cap: int
    spent: int
    held: int
    usage_percentage: float
    zone: Zone
    health: Health
    opened_at: float | None
    resets_at: float | None
    zoned: bool
    source: str
    age_s: float
    provider: WordView | None

    @classmethod
    def of(cls, gauge: Gauge) -> Self:
        """A gauge as data."""
        return cls(
            key=gauge.key,
            label=gauge.label,
            unit=gauge.unit,
            cap=gauge.cap,
            spent=gauge.spent,
            held=gauge.held,
            usage_percentage=percent(gauge.used),
            zone=gauge.zone,
            health=gauge.health,
            opened_at=gauge.opened_at,
            resets_at=finite(gauge.resets_at),
            zoned=gauge.zoned,
            source=gauge.source,
            age_s=round(gauge.age_s, 3),
            provider=WordView.of(gauge.provider) if gauge.provider else None,
        )


class ProviderView(BaseModel):
    """The newest word of the provider on one of its own windows."""

    window: str
    usage_percentage: float
    resets_at: float | None
    source: str
    age_s: float
    status: str
    overage: bool

    @classmethod
    def of(cls, signal: Signal, now: float) -> Self:
        """A signal as data."""
        return cls(
            window=signal.window,
            usage_percentage=percent(signal.used),
            resets_at=finite(signal.resets_at),
            source=signal.source,
            age_s=round(signal.age_s(now), 3),
            status=signal.status,
            overage=signal.overage,
        )


class ThrottleView(BaseModel):
    """The brake: `off`, or how strict until when (null: until it is taken off)."""

    level: Level | Literal["off"]
    set_at: float | None = None
    until: float | None = None
    reason: str = ""
    by: str = ""

    @classmethod
    def of(cls, brake: Throttle | None) -> Self:
        """The brake as data."""
        if brake is None:
            return cls(level="off")
        return cls(
            level=brake.level,
            set_at=brake.set_at,
            until=finite(brake.until),
            reason=brake.reason,
            by=brake.by,
        )


class BudgetFigures(BaseModel):
    """The plan's first window. `messages_remaining` is null where it counts something else;
    `remaining` is in the window's own unit.
    """

    current_window: GaugeView
    budget_health: Health
    usage_percentage: float
    messages_remaining: int | None
    remaining: int
    is_throttling: bool

    @classmethod
    def of_status(cls, status: BudgetStatus) -> Self:
        """The figures of a plan's first window."""
        window = status.gauges[0]
        left = max(0, window.cap - window.spent - window.held)
        return cls(
            current_window=GaugeView.of(window),
            budget_health=window.health,
            usage_percentage=percent(window.used),
            messages_remaining=left if window.unit is Unit.MESSAGES else None,
            remaining=left,
            is_throttling=status.zone is not Zone.NORMAL,
        )


class MetricFigures(BaseModel):
    """Usage in the plan's first window.

    `messages_per_hour` is null while the window is too young to tell. `cost_efficiency` is the
    share (0..1) saved against the strong model for every call; opus stands for the strong models
    and all above, sonnet for the standard tier. `figures_age_s` is how old these were when they
    were read.
    """

    messages: int
    messages_per_hour: float | None
    cost_usd: float
    cost_efficiency: float
    opus_usage_percentage: float
    sonnet_usage_percentage: float
    percentage_by_tier: dict[Tier, float]
    figures_age_s: float

    @classmethod
    def of_metrics(cls, metrics: Metrics, age_s: float) -> Self:
        """The figures as data."""
        pace = metrics.messages_per_hour
        return cls(
            messages=metrics.messages,
            messages_per_hour=None if pace is None else round(pace, 2),
            cost_usd=metrics.cost_microusd / MICRO,
            cost_efficiency=round(metrics.cost_efficiency, 4),
            opus_usage_percentage=percent(metrics.strong_share),
            sonnet_usage_percentage=percent(metrics.share_by_tier.get(Tier.STANDARD, 0.0)),
            percentage_by_tier={tier: percent(s) for tier, s in metrics.share_by_tier.items()},
            figures_age_s=round(age_s, 3),
        )


class Told(BaseModel):
    """What every reading says: of which plan, whether simulated, when it was true (`at`, by the
    ledger's clock) and how old it is now.
    """

    plan: str
    simulated: bool
    at: float
    age_s: float = 0.0


class StatusView(Told):
    """How full everything is, everybody's limits first; `provider` is the provider's own word."""

    status: Standing
    zone: Zone
    budget: BudgetFigures
    metrics: MetricFigures
    gauges: list[GaugeView]
    throttle: ThrottleView
    provider: list[ProviderView]


class MetricsView(Told, MetricFigures, BudgetFigures):
    """The figures of the plan's first window."""


class HealthView(Told):
    """The light, and what it rests on."""

    status: Literal["ok"]
    health: Health
    zone: Zone
    reason: str


class AllocationView(BaseModel):
    """The answer to a wish. With `queued` the same request may fit later: at `resets_at`, or when
    others settle.
    """

    allocated: bool
    allocated_model: str | None
    decision_reason: str
    request_id: str
    fence: int
    lease_until: float | None
    zone: Zone
    binding: str
    resets_at: float | None
    queued: bool
    simulated: bool

    @classmethod
    def of(cls, answer: Allocation, request_id: str, *, simulated: bool) -> Self:
        """An allocation as data, under its caller's name for it."""
        return cls(
            allocated=answer.allocated,
            allocated_model=answer.model,
            decision_reason=answer.reason.replace(answer.request_id, request_id),
            request_id=request_id,
            fence=answer.fence,
            lease_until=answer.lease_until if answer.allocated else None,
            zone=answer.zone,
            binding=answer.binding,
            resets_at=finite(answer.resets_at),
            queued=answer.queued,
            simulated=simulated,
        )


class ReleaseView(BaseModel):
    """What became of a reservation."""

    request_id: str
    state: str


class TokensView(BaseModel):
    """Tokens by the kinds that are priced differently; `cache_write_1h` is a part of
    `cache_write`.
    """

    input: int
    output: int
    cache_write: int
    cache_write_1h: int
    cache_read: int

    @classmethod
    def of(cls, usage: Usage) -> Self:
        """Tokens as data."""
        return cls(
            input=usage.input_tokens,
            output=usage.output_tokens,
            cache_write=usage.cache_write_tokens,
            cache_write_1h=usage.cache_write_1h_tokens,
            cache_read=usage.cache_read_tokens,
        )


class UsageView(BaseModel):
    """What was booked."""

    recorded: Literal[True]
    request_id: str
    model: str
    tier: str
    messages: int
    tokens: TokensView
    cost_usd: float
    simulated: bool


class SumView(BaseModel):
    """The sum of one name; "" stands for usage without that name."""

    name: str
    messages: int
    tokens: TokensView
    cost_usd: float

    @classmethod
    def of(cls, total: SpendTotal) -> Self:
        """A sum as data."""
        return cls(
            name=total.name,
            messages=total.messages,
            tokens=TokensView.of(total.usage),
            cost_usd=total.cost_microusd / MICRO,
        )


class SummaryView(BaseModel):
    """Sums over `since` <= t < `until`, the dearest first."""

    by: str
    since: float
    until: float
    simulated: bool
    total: SumView
    items: list[SumView]


class PastWindow(BaseModel):
    """One window of a limit. `breach` is what replies took above their estimate."""

    opened_at: float
    closes_at: float | None
    spent: int
    held: int
    breach: int
    cap: int
    usage_percentage: float

    @classmethod
    def of(cls, balance: Balance) -> Self:
        """The books of one window as data."""
        return cls(
            opened_at=balance.window.opened_at,
            closes_at=finite(balance.window.closes_at),
            spent=balance.spent,
            held=balance.held,
            breach=balance.breach,
            cap=balance.limit.cap,
            usage_percentage=percent(balance.used),
        )


class HistoryView(BaseModel):
    """The newest windows of a limit, the newest first; `more` says that there are older ones."""

    limit: str
    items: list[PastWindow]
    more: bool
