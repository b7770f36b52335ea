"""Limits: how much of a unit may be spent in a window, by whom and on which models."""

from dataclasses import dataclass, field

from helios.domain.budget.units import Amounts, Unit
from helios.domain.budget.window import NEVER, Window, WindowRule
from helios.domain.budget.zones import Thresholds
from helios.domain.pricing import Tier


@dataclass(frozen=True, slots=True)
class Lowered:
    """Why a ceiling is below what was set, and until when (seconds since 1970, UTC)."""

    because: str
    until: float = NEVER


@dataclass(frozen=True, slots=True)
class Limit:
    """One ceiling.

    `key` names the ceiling for ever ("plan/five-hour/messages"); `window_key` names the window it
    counts in, so that several ceilings (all messages, the strong model's share) turn over
    together. `tiers` restricts it to calls of these tiers; empty means every call. `zoned` limits
    throttle as they fill; the others only stop at the ceiling. `lowered` says that `cap` is below
    what was set.
    """

    key: str
    unit: Unit
    cap: int
    window: WindowRule
    window_key: str
    label: str
    tiers: frozenset[Tier] = frozenset()
    zoned: bool = False
    thresholds: Thresholds = field(default_factory=Thresholds)
    lowered: Lowered | None = None

    def applies_to(self, tier: Tier) -> bool:
        """Whether a call of this tier counts here."""
        return not self.tiers or tier in self.tiers

    def share_of(self, amounts: Amounts, tier: Tier) -> int:
        """How much of `amounts` counts here."""
        return amounts.get(self.unit, 0) if self.applies_to(tier) else 0


@dataclass(frozen=True, slots=True)
class Balance:
    """The books of one limit in one window.

    At every commit `spent + held <= cap + breach`: `breach` is what replies cost above their
    estimate, which is a defect to be counted and never hidden.
    """

    limit: Limit
    window: Window
    spent: int = 0
    held: int = 0
    breach: int = 0

    @property
    def room(self) -> int:
        """What can still be reserved; a breach makes no room, it used some up."""
        return max(0, self.limit.cap - self.spent - self.held)

    @property
    def has_room_at(self) -> float:
        """When there is room again at the latest: a new window, or the ceiling as it was set."""
        lowered = self.limit.lowered
        return min(self.window.closes_at, lowered.until) if lowered else self.window.closes_at

    @property
    def used(self) -> float:
        """The share of the limit that is spent or held, 0..1 (above 1 only after a breach)."""
        if self.limit.cap <= 0:
            return 1.0
        return (self.spent + self.held) / self.limit.cap
