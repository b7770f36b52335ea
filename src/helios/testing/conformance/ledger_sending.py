"""What is sent as soon as it is granted: reserved and marked in one commit."""

import asyncio
from dataclasses import replace

from helios.domain.budget.ledger import EntryState, Request
from helios.domain.budget.units import Unit
from helios.errors import ReservationLost
from helios.testing.conformance.ledger_basics import (
    LEASE_S,
    LedgerSuite,
    books,
    entry_of,
    limit,
    wish,
)
from helios.testing.conformance.suite import refused


def sending(request_id: str, amount: int = 10) -> Request:
    """A request whose first byte goes out as soon as it is granted."""
    return replace(wish(request_id, amount), sends=True)


class SendingChecks(LedgerSuite):
    """What is sent as soon as it is granted."""

    async def check_4_sent_when_granted(self) -> None:
        """No second commit before the call: it is SENT, and nobody can mark it again."""
        async with self._open(self._clock) as ledger:
            sent = entry_of(await ledger.reserve(sending("하나"), [limit()]))
            assert sent.state is EntryState.SENT
            assert await ledger.entry("하나") == sent
            assert books(await ledger.balances([limit()])) == [(0, 10, 0)]
            await refused(ledger.mark_sent("하나", sent.fence), ReservationLost)
            await refused(ledger.settle("하나", sent.fence + 1, {}), ReservationLost)
            settled = await ledger.settle("하나", sent.fence, {Unit.TOKENS: 4})
            assert settled.state is EntryState.SETTLED
            assert books(await ledger.balances([limit()])) == [(4, 0, 0)]

    async def check_3_a_repeated_send_books_once(self) -> None:
        """Each repeat gets the entry as it stands, at the same moment and later."""
        async with self._open(self._clock) as ledger:
            asked = [ledger.reserve(sending("one"), [limit()]) for _ in range(5)]
            answers = await asyncio.gather(*asked)
            self._clock.move(1)
            answers.append(await ledger.reserve(sending("one"), [limit()]))
            assert {(answer.granted, entry_of(answer).state) for answer in answers} == {
                (True, EntryState.SENT)
            }
            assert len({answer.entry for answer in answers}) == 1
            assert books(await ledger.balances([limit()])) == [(0, 10, 0)]

    async def check_3_a_held_entry_is_not_sent_by_a_repeat(self) -> None:
        """Who only holds has to mark it, whatever is asked again."""
        async with self._open(self._clock) as ledger:
            held = await ledger.reserve(wish("one"), [limit()])
            assert (await ledger.reserve(sending("one"), [limit()])).entry == held.entry
            sent = await ledger.mark_sent("one", entry_of(held).fence)
            assert (await ledger.reserve(wish("one"), [limit()])).entry == sent

    async def check_1_a_refused_send_books_nothing(self) -> None:
        """No entry, no hold, on any of its limits; and it may ask again."""
        wide, narrow = limit("a/tokens"), limit("b/tokens", 15)
        async with self._open(self._clock) as ledger:
            first = entry_of(await ledger.reserve(sending("first"), [wide, narrow]))
            refusal = await ledger.reserve(sending("second"), [wide, narrow])
            assert (refusal.granted, refusal.entry) == (False, None)
            assert await ledger.entry("second") is None
            assert books(await ledger.balances([wide, narrow])) == [(0, 10, 0), (0, 10, 0)]
            await ledger.settle("first", first.fence, {Unit.TOKENS: 1})
            assert (await ledger.reserve(sending("second"), [wide, narrow])).granted

    async def check_6_a_send_without_an_answer_is_charged(self) -> None:
        """Its caller crashed right after: with the lease over, the estimate is charged."""
        async with self._open(self._clock) as ledger:
            await ledger.reserve(sending("crashed"), [limit()])
        self._clock.move(LEASE_S)
        async with self._open(self._clock) as ledger:
            (closed,) = await ledger.sweep()
            assert closed.state is EntryState.CHARGED_ESTIMATE
            assert books(await ledger.balances([limit()])) == [(10, 0, 0)]
            again = await ledger.reserve(sending("crashed"), [limit()])
            assert not again.granted
            assert entry_of(again) == closed

    async def check_6_a_send_is_released_only_with_proof(self) -> None:
        """A refused connection frees it; a mere wish does not."""
        async with self._open(self._clock) as ledger:
            sent = entry_of(await ledger.reserve(sending("one"), [limit()]))
            await refused(ledger.release("one", sent.fence), ReservationLost)
            released = await ledger.release("one", sent.fence, unbilled=True)
            assert released.state is EntryState.RELEASED
            assert books(await ledger.balances([limit()])) == [(0, 0, 0)]

    async def check_6_a_cancelled_send_costs_nothing(self) -> None:
        """Who hangs up before the answer has sent nothing; who got it is charged."""
        wide, kept = limit(cap=1_000), 0
        async with self._open(self._clock) as ledger:
            for turns in range(6):
                asking = asyncio.ensure_future(ledger.reserve(sending(f"{turns}"), [wide]))
                for _ in range(turns):
                    await asyncio.sleep(0)
                asking.cancel()
                (answer,) = await asyncio.gather(asking, return_exceptions=True)
                kept += not isinstance(answer, asyncio.CancelledError)
            assert books(await ledger.balances([wide])) == [(0, 10 * kept, 0)]
