"""Clocks that jump, and books that are opened again."""

from helios.domain.budget.ledger import EntryState
from helios.domain.budget.units import Unit
from helios.domain.budget.window import OpensOnUse
from helios.errors import ReservationLost
from helios.ports.ledger import Ledger
from helios.testing.conformance.ledger_basics import (
    DAY_S,
    HOUR_S,
    LedgerSuite,
    entry_of,
    limit,
    spend,
    wish,
)
from helios.testing.conformance.suite import refused


class TimeChecks(LedgerSuite):
    """Clocks that jump, and books that are opened again."""

    async def check_7_a_clock_going_back_revives_no_lease(self) -> None:
        """What was refused as too late stays too late."""
        for back in (0.3, DAY_S):
            async with self._open(self._clock) as ledger:
                entry = entry_of(await ledger.reserve(wish(f"back {back}"), [limit()]))
                self._clock.move(entry.lease_until - self._clock.now() + 0.1)
                await refused(ledger.mark_sent(entry.request_id, 1), ReservationLost)
                self._clock.move(-back)
            async with self._open(self._clock) as ledger:
                await refused(ledger.mark_sent(entry.request_id, 1), ReservationLost)

    async def check_7_a_clock_going_back_reopens_no_window(self) -> None:
        """The newest window counts, and the books of the old one are not freed."""
        short = limit(window=OpensOnUse(HOUR_S))
        async with self._open(self._clock) as ledger:
            await spend(ledger, "one", estimate=100, actual=100, limits=[short])
            self._clock.move(HOUR_S)
            await spend(ledger, "two", estimate=40, actual=40, limits=[short])
            self._clock.move(-DAY_S)
            assert not (await ledger.reserve(wish("three", 70), [short])).granted
            assert (await ledger.reserve(wish("four", 60), [short])).granted
            assert [b.spent + b.held for b in await ledger.history(short.key)] == [100, 100]

    async def check_7_the_ledgers_time_never_goes_back(self) -> None:
        """Not even by less than a second, nor by closing and opening."""
        async with self._open(self._clock) as ledger:
            told = await ledger.now()
            assert told >= self._clock.now()
            self._clock.move(0.5)
            later = await ledger.now()
            assert later >= told + 0.5
        self._clock.move(-DAY_S)
        async with self._open(self._clock) as ledger:
            assert await ledger.now() >= later

    async def check_8_opening_again_changes_nothing(self) -> None:
        """Entries, books and history are as they were."""
        limits = [limit(window=OpensOnUse(HOUR_S)), limit("한국어/토큰", window_key="한국어")]
        ids = ["열린 요청", "sent", "settled", "charged", "released"]

        async def look(ledger: Ledger) -> object:
            histories = [await ledger.history(ceiling.key) for ceiling in limits]
            entries = [await ledger.entry(name) for name in ids]
            return entries, await ledger.balances(limits), histories, await ledger.now()

        async with self._open(self._clock) as ledger:
            for name in ids:
                await ledger.reserve(wish(name), limits)
            for name in ("sent", "settled", "charged"):
                await ledger.mark_sent(name, 1)
            await ledger.settle("settled", 1, {Unit.TOKENS: 12})
            await ledger.charge_unknown("charged")
            await ledger.release("released", 1)
            before = await look(ledger)
        async with self._open(self._clock) as ledger:
            assert await look(ledger) == before
            assert (await ledger.settle("sent", 1, {Unit.TOKENS: 1})).state is EntryState.SETTLED

    async def check_8_looking_opens_nothing(self) -> None:
        """A window opens with the first use, not with the first look."""
        ceiling = limit(window=OpensOnUse(HOUR_S))
        async with self._open(self._clock) as ledger:
            (empty,) = await ledger.balances([ceiling])
            assert (empty.limit, empty.spent, empty.held) == (ceiling, 0, 0)
            assert await ledger.history(ceiling.key) == ()
            self._clock.move(100)
            await ledger.reserve(wish("one"), [ceiling])
            (used,) = await ledger.balances([ceiling])
            assert used.window.closes_at == self._clock.now() + HOUR_S
            (kept,) = await ledger.history(ceiling.key)
            assert (kept.limit.key, kept.limit.unit, kept.limit.cap, kept.window) == (
                ceiling.key,
                ceiling.unit,
                ceiling.cap,
                used.window,
            )

    async def check_8_history_is_the_newest_first(self) -> None:
        """Every window keeps its own books."""
        ceiling = limit(window=OpensOnUse(HOUR_S))
        async with self._open(self._clock) as ledger:
            for amount in (1, 2, 3):
                await spend(ledger, f"use {amount}", 10, amount, limits=[ceiling])
                self._clock.move(HOUR_S)
            assert [b.spent for b in await ledger.history(ceiling.key)] == [3, 2, 1]
            assert [b.spent for b in await ledger.history(ceiling.key, 2)] == [3, 2]
