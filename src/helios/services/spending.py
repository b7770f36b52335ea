"""What was spent: figures of the current window, sums by whom and on what."""

from collections.abc import Mapping
from dataclasses import dataclass

from helios.domain.budget.spend import SpendBy, SpendTotal
from helios.domain.budget.zones import Health, Zone
from helios.domain.pricing import Catalogue, Tier
from helios.domain.usage import Usage
from helios.ports.budget import BudgetBook
from helios.services.governor import Gauge, Governor

SHORTEST_S = 300.0
"""A pace is not told from less than five minutes: one call would be hundreds an hour."""
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Metrics:
    """The plan's first window in figures.

    Shares are 0..1. `cost_efficiency` is what choosing models saved: the share of what the same
    tokens would have cost on the strong model. `messages_per_hour` is the mean since the window
    opened, None while it is too young to tell.
    """

    window: Gauge
    health: Health
    zone: Zone
    used: float
    left: int
    messages: int
    messages_per_hour: float | None
    cost_microusd: int
    cost_efficiency: float
    strong_share: float
    share_by_tier: Mapping[Tier, float]


class Spending:
    """Reads usage from the book; never changes anything."""

    def __init__(
        self, governor: Governor, book: BudgetBook, catalogue: Catalogue, *, simulated: bool
    ) -> None:
        self._governor = governor
        self._book = book
        self._catalogue = catalogue
        self._simulated = simulated

    async def by(self, what: SpendBy, since: float, until: float) -> tuple[SpendTotal, ...]:
        """Sums by name over a span of time (UTC seconds), the dearest first."""
        return await self._book.totals(what, since, until, simulated=self._simulated)

    async def metrics(self) -> Metrics:
        """The first window of the plan."""
        status = await self._governor.status()
        window = status.gauges[0]
        opened_at = window.opened_at if window.opened_at is not None else status.at
        tiers = await self.by("tier", opened_at, status.at + 1.0)
        messages = sum(total.messages for total in tiers)
        cost = sum(total.cost_microusd for total in tiers)
        age_s = status.at - opened_at
        shares = dict.fromkeys(Tier, 0.0)
        for total in tiers:
            shares[Tier(total.name)] = total.messages / messages if messages else 0.0
        return Metrics(
            window=window,
            health=window.health,
            zone=status.zone,
            used=window.used,
            left=max(0, window.cap - window.spent - window.held),
            messages=messages,
            messages_per_hour=messages / age_s * HOUR_S if age_s >= SHORTEST_S else None,
            cost_microusd=cost,
            cost_efficiency=self._saved(tiers, cost),
            strong_share=sum(
                share for tier, share in shares.items() if tier.rank >= Tier.STRONG.rank
            ),
            share_by_tier=shares,
        )

    def _saved(self, totals: tuple[SpendTotal, ...], cost: int) -> float:
        strong = self._catalogue.of_tier(Tier.STRONG)
        whole = sum((total.usage for total in totals), Usage())
        always_strong = strong.cost_microusd(whole) if strong else 0
        return 1.0 - cost / always_strong if always_strong else 0.0
