"""The books of the budget. The authority on what may be sent.

Promises every implementation keeps (the conformance suite numbers its tests after them):

 1 reserving on several limits is all or nothing
 2 spent + held <= cap + breach for every limit at every commit
 3 a repeated reserve of one request id answers with the same entry and books nothing twice
 4 an entry is sent only with its live fence, inside its lease and its windows
 5 final states stay, but for one true-up downwards in an open window
 6 a held entry past its lease is released, a sent one is charged its estimate
 7 a clock that goes back frees nothing
 8 closing and opening the store again changes nothing
 9 who waits for room is woken by whoever makes some, in whatever process, and misses nobody
"""

from collections.abc import Sequence
from typing import Protocol

from helios.domain.budget.ledger import Admission, Entry, Request
from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.units import Amounts


class Ledger(Protocol):
    """Reserve before spending, settle after. Times are the ledger's own."""

    async def reserve(self, request: Request, limits: Sequence[Limit]) -> Admission:
        """Hold the estimate on every limit, or say why not.

        With `request.sends` the entry is SENT in the same commit, as if `mark_sent` had followed.
        """
        ...

    async def mark_sent(self, request_id: str, fence: int) -> Entry:
        """Durably note that the first byte is about to go out.

        Raises:
            ReservationLost: do not send.
        """
        ...

    async def take_over(self, request_id: str, lease_s: float) -> Entry:
        """Become the owner of an open entry: a higher fence, a fresh lease."""
        ...

    async def settle(self, request_id: str, fence: int, actual: Amounts) -> Entry:
        """Charge what the provider reported and free the rest; repeating it changes nothing."""
        ...

    async def record(self, request: Request, limits: Sequence[Limit]) -> Entry:
        """Book what was spent without having been asked for, once: beyond the room as a breach."""
        ...

    async def release(self, request_id: str, fence: int, *, unbilled: bool = False) -> Entry:
        """Free a hold that was never sent, or, with `unbilled`, one proved to cost nothing."""
        ...

    async def charge_unknown(self, request_id: str) -> Entry:
        """Close an entry whose outcome nobody can know: sent is charged, held is released."""
        ...

    async def sweep(self) -> tuple[Entry, ...]:
        """Close every entry whose lease is over; what was closed."""
        ...

    async def entry(self, request_id: str) -> Entry | None:
        """One entry as it stands."""
        ...

    async def balances(self, limits: Sequence[Limit]) -> tuple[Balance, ...]:
        """The books of these limits in their current windows; nothing is opened by looking."""
        ...

    async def history(self, limit_key: str, most: int = 24) -> tuple[Balance, ...]:
        """Past and current windows of a limit, the newest first."""
        ...

    async def now(self) -> float:
        """The ledger's time, in seconds since 1970, UTC; it never goes back."""
        ...

    async def version(self) -> int:
        """A number that grows whenever somebody settles, releases or closes an entry.

        Take it before asking for room, to wait for what happens after.
        """
        ...

    async def wait_for_room(self, timeout_s: float, since: int) -> bool:
        """Wait until somebody, in whatever process, settles, releases or closes an entry.

        Args:
            timeout_s: how long at most, by the ledger's clock.
            since: the `version` from which on it counts.

        Returns:
            False after the timeout. True also when a lease is over, so that who asks again
            closes its entry.
        """
        ...
