"""What is admitted, and booked once."""

import asyncio

from helios.domain.budget.ledger import EntryState
from helios.domain.budget.units import Unit
from helios.domain.budget.window import OpensOnUse
from helios.testing.conformance.ledger_basics import (
    HOUR_S,
    LedgerSuite,
    books,
    entry_of,
    limit,
    spend,
    wish,
)


class AdmissionChecks(LedgerSuite):
    """What is admitted, and booked once."""

    async def check_1_all_limits_or_none(self) -> None:
        """A refusal by one limit leaves no trace on the others."""
        wide, narrow = limit("a/tokens", 100), limit("b/tokens", 15)
        async with self._open(self._clock) as ledger:
            first = await ledger.reserve(wish("first"), [wide, narrow])
            second = await ledger.reserve(wish("second"), [wide, narrow])
            assert first.granted
            assert not second.granted
            assert second.entry is None
            assert second.binding == narrow.key
            assert second.waits, "10 are only held: waiting may help"
            assert await ledger.entry("second") is None
            assert books(await ledger.balances([wide, narrow])) == [(0, 10, 0), (0, 10, 0)]

    async def check_1_only_limits_of_the_unit_and_tier_count(self) -> None:
        """A request for tokens holds nothing in messages."""
        tokens, messages = limit(), limit("plan/messages", 1, unit=Unit.MESSAGES)
        async with self._open(self._clock) as ledger:
            admission = await ledger.reserve(wish("one"), [tokens, messages])
            assert [line.limit_key for line in entry_of(admission).lines] == [tokens.key]
            assert books(await ledger.balances([tokens, messages])) == [(0, 10, 0), (0, 0, 0)]

    async def check_1_without_limits_everything_fits(self) -> None:
        """No limit applies: the entry exists all the same."""
        async with self._open(self._clock) as ledger:
            entry = entry_of(await ledger.reserve(wish("free", 10**12), []))
            assert entry.lines == ()
            await ledger.mark_sent("free", entry.fence)
            settled = await ledger.settle("free", entry.fence, {Unit.TOKENS: 5})
            assert settled.state is EntryState.SETTLED

    async def check_2_never_over_the_cap_under_concurrency(self) -> None:
        """Forty callers, room for ten."""
        async with self._open(self._clock) as ledger:
            asked = [ledger.reserve(wish(f"r{n}"), [limit()]) for n in range(40)]
            answers = await asyncio.gather(*asked)
            assert sum(answer.granted for answer in answers) == 10
            assert books(await ledger.balances([limit()])) == [(0, 100, 0)]

    async def check_2_windows_open_once_under_concurrency(self) -> None:
        """Twenty first uses at once open one window, not several with a cap each."""
        ceiling = limit(window=OpensOnUse(HOUR_S))
        async with self._open(self._clock) as ledger:
            asked = [ledger.reserve(wish(f"r{n}"), [ceiling]) for n in range(20)]
            answers = await asyncio.gather(*asked)
            assert sum(answer.granted for answer in answers) == 10
            assert len(await ledger.history(ceiling.key)) == 1

    async def check_2_settling_frees_what_was_not_used(self) -> None:
        """The books show what was charged; the rest is free again."""
        async with self._open(self._clock) as ledger:
            await spend(ledger, "one", estimate=90, actual=30)
            assert books(await ledger.balances([limit()])) == [(30, 0, 0)]
            assert (await ledger.reserve(wish("two", 70), [limit()])).granted

    async def check_2_a_dearer_reply_is_a_breach_and_is_booked(self) -> None:
        """More than the estimate is charged in full and counted as a breach."""
        async with self._open(self._clock) as ledger:
            await spend(ledger, "one", estimate=100, actual=130)
            (balance,) = await ledger.balances([limit()])
            assert (balance.spent, balance.held, balance.breach) == (130, 0, 30)
            assert not (await ledger.reserve(wish("two", 1), [limit()])).granted

    async def check_2_what_nobody_asked_for_is_booked_once(self) -> None:
        """In full, beyond the room as a breach, which then leaves no room."""
        limits = [limit(), limit("team/tokens", 500, window_key="team")]
        async with self._open(self._clock) as ledger:
            await spend(ledger, "first", estimate=70, actual=70, limits=limits)
            entry = await ledger.record(wish("late", 50), limits)
            assert entry.state is EntryState.SETTLED
            assert await ledger.record(wish("late", 50), limits) == entry
            assert await ledger.entry("late") == entry
            assert books(await ledger.balances(limits)) == [(120, 0, 20), (120, 0, 0)]
            assert not (await ledger.reserve(wish("next", 1), limits)).granted
            late = [ledger.record(wish(f"r{n}"), limits) for n in range(20)]
            await asyncio.gather(*late)
            assert books(await ledger.balances(limits)) == [(320, 0, 220), (320, 0, 0)]

    async def check_2_a_changed_cap_counts_at_once(self) -> None:
        """A lower cap refuses, though more is booked already; a higher one gives room."""
        async with self._open(self._clock) as ledger:
            await spend(ledger, "one", estimate=60, actual=60)
            lower, higher = limit(cap=50), limit(cap=200)
            refusal = await ledger.reserve(wish("two", 1), [lower])
            assert not refusal.granted
            assert not refusal.waits
            assert (await ledger.reserve(wish("three", 140), [higher])).granted
            assert not (await ledger.reserve(wish("four", 1), [higher])).granted
            assert books(await ledger.balances([lower])) == [(60, 140, 0)]

    async def check_3_a_repeated_reserve_books_once(self) -> None:
        """The same id gets the same entry while it is open."""
        limits = [limit("z/tokens", window_key="z"), limit("a/tokens", window_key="a")]
        async with self._open(self._clock) as ledger:
            first = await ledger.reserve(wish("one"), limits)
            self._clock.move(1)
            again = await ledger.reserve(wish("one"), limits)
            assert again.granted
            assert again.entry == first.entry == await ledger.entry("one")
            sent = await ledger.mark_sent("one", entry_of(first).fence)
            assert (await ledger.reserve(wish("one"), limits)).entry == sent
            assert books(await ledger.balances(limits)) == [(0, 10, 0), (0, 10, 0)]

    async def check_3_at_the_same_moment_too(self) -> None:
        """Ten deliveries of one request hold once."""
        async with self._open(self._clock) as ledger:
            asked = [ledger.reserve(wish("one"), [limit()]) for _ in range(10)]
            answers = await asyncio.gather(*asked)
            assert {answer.granted for answer in answers} == {True}
            assert len({answer.entry for answer in answers}) == 1
            assert books(await ledger.balances([limit()])) == [(0, 10, 0)]

    async def check_3_an_ended_request_is_not_admitted_again(self) -> None:
        """The answer names the state; nothing more is booked."""
        async with self._open(self._clock) as ledger:
            await spend(ledger, "one", estimate=10, actual=4)
            again = await ledger.reserve(wish("one"), [limit()])
            assert not again.granted
            assert "settled" in again.reason
            assert entry_of(again).state is EntryState.SETTLED
            assert books(await ledger.balances([limit()])) == [(4, 0, 0)]

    async def check_3_a_denied_request_may_ask_again(self) -> None:
        """A refusal is no entry."""
        async with self._open(self._clock) as ledger:
            holder = entry_of(await ledger.reserve(wish("holder", 100), [limit()]))
            assert not (await ledger.reserve(wish("late"), [limit()])).granted
            await ledger.release("holder", holder.fence)
            assert (await ledger.reserve(wish("late"), [limit()])).granted
