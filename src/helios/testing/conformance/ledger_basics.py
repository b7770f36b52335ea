"""What the checks of `ports.ledger` share: limits, requests, and how books are read."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from helios.domain.budget.ledger import Admission, Entry, Request
from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever, WindowRule
from helios.domain.pricing import Tier
from helios.ports.ledger import Ledger
from helios.testing.clock import MovableClock
from helios.testing.conformance.suite import Suite

OpenLedger = Callable[[MovableClock], AbstractAsyncContextManager[Ledger]]
"""Opens the ledger, its time following the given clock; a second opening finds the same books."""

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
LEASE_S = 120.0


def limit(
    key: str = "plan/tokens",
    cap: int = 100,
    *,
    unit: Unit = Unit.TOKENS,
    window: WindowRule | None = None,
    window_key: str = "plan",
) -> Limit:
    """A ceiling of 100 tokens for ever, unless said otherwise."""
    return Limit(key, unit, cap, window or Forever(), window_key, f"한도 {key}")


def wish(request_id: str, amount: int = 10, *, unit: Unit = Unit.TOKENS) -> Request:
    """A request with a lease of two minutes."""
    return Request(request_id, Tier.STANDARD, {unit: amount}, lease_s=LEASE_S)


class LedgerSuite(Suite):
    """Checks of a ledger without entries, whose time the suite's own clock tells."""

    def __init__(self, open_ledger: OpenLedger) -> None:
        self._open = open_ledger
        self._clock = MovableClock()


def entry_of(admission: Admission) -> Entry:
    """The entry of a request that was granted."""
    assert admission.entry is not None, admission.reason
    return admission.entry


def books(balances: tuple[Balance, ...]) -> list[tuple[int, int, int]]:
    """Spent, held and breach of each."""
    return [(balance.spent, balance.held, balance.breach) for balance in balances]


async def spend(
    ledger: Ledger,
    request_id: str,
    estimate: int,
    actual: int,
    limits: list[Limit] | None = None,
) -> Entry:
    """Reserve, send and settle."""
    limits = [limit()] if limits is None else limits
    entry = entry_of(await ledger.reserve(wish(request_id, estimate), limits))
    await ledger.mark_sent(request_id, entry.fence)
    return await ledger.settle(request_id, entry.fence, {Unit.TOKENS: actual})
