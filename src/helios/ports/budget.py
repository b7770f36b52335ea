"""What surrounds the ledger: ceilings people set, the brake, the provider's word, and usage.

Promises every implementation keeps (the conformance suite numbers its tests after them):

 1 a rule, the brake or a signal that was stored is read back letter by letter, also after opening
   the store again
 2 putting the same rule or saving the same spend again changes nothing
 3 sums over any division of time and names add up to the whole, tokens of each kind apart
 4 simulated spending is never mixed with real spending
 5 callers at the same moment lose nothing
"""

from typing import Protocol

from helios.domain.budget.account import LimitRule
from helios.domain.budget.signal import Signal
from helios.domain.budget.spend import Spend, SpendBy, SpendSample, SpendTotal
from helios.domain.budget.throttle import Throttle


class BudgetBook(Protocol):
    """Times are seconds since 1970, UTC; spans are half open, `since` <= t < `until`."""

    async def limit_rules(self) -> tuple[LimitRule, ...]:
        """All rules, by account and name."""
        ...

    async def put_limit_rule(self, rule: LimitRule) -> None:
        """Store a rule, or replace the one of this account and name."""
        ...

    async def remove_limit_rule(self, account: str, name: str) -> bool:
        """Forget a rule; whether there was one. Its books stay in the ledger."""
        ...

    async def throttle(self) -> Throttle | None:
        """The brake as it was set last, whether or not it still holds."""
        ...

    async def set_throttle(self, throttle: Throttle | None) -> None:
        """Set or release the brake."""
        ...

    async def save_signal(self, signal: Signal) -> None:
        """Store a figure of the provider; one of the same window, source and time is replaced."""
        ...

    async def latest_signals(self) -> tuple[Signal, ...]:
        """The newest figure of each window, whatever its source, by the window's name."""
        ...

    async def signals(self, window: str, since: float, most: int = 1000) -> tuple[Signal, ...]:
        """The newest `most` figures of one window, the oldest first."""
        ...

    async def save_spend(self, spend: Spend) -> None:
        """Store what a request spent, once."""
        ...

    async def answers(self, since: float, until: float, *, simulated: bool) -> frozenset[str]:
        """The provider's names of the answers that were booked, as far as they are known."""
        ...

    async def totals(
        self, by: SpendBy, since: float, until: float, *, simulated: bool
    ) -> tuple[SpendTotal, ...]:
        """Sums by name, the dearest first; rows without that name come under ""."""
        ...

    async def samples(
        self, since: float, until: float, every_s: float, *, simulated: bool
    ) -> tuple[SpendSample, ...]:
        """Sums by spans of `every_s` seconds from `since` on, spans without spending left out."""
        ...

    async def output_lengths(
        self, agent: str, model: str, most: int = 500, *, simulated: bool
    ) -> tuple[int, ...]:
        """Output tokens of the newest calls of an agent on a model, the newest first."""
        ...
