"""Who may send, and how an entry ends."""

import asyncio

from helios.domain.budget.ledger import Entry, EntryState
from helios.domain.budget.units import Unit
from helios.domain.budget.window import OpensOnUse
from helios.errors import ReservationLost
from helios.testing.conformance.ledger_basics import (
    LEASE_S,
    LedgerSuite,
    books,
    entry_of,
    limit,
    spend,
    wish,
)
from helios.testing.conformance.suite import refused


class SettlingChecks(LedgerSuite):
    """Who may send, and how an entry ends."""

    async def check_4_only_the_live_fence_may_send(self) -> None:
        """After a take-over the old owner cannot send, settle or release."""
        async with self._open(self._clock) as ledger:
            first = entry_of(await ledger.reserve(wish("one"), [limit()]))
            taken = await ledger.take_over("one", LEASE_S)
            assert taken.fence > first.fence
            await refused(ledger.mark_sent("one", first.fence), ReservationLost)
            await refused(ledger.release("one", first.fence), ReservationLost)
            sent = await ledger.mark_sent("one", taken.fence)
            assert sent.state is EntryState.SENT
            await refused(ledger.settle("one", first.fence, {Unit.TOKENS: 1}), ReservationLost)
            assert await ledger.entry("one") == sent

    async def check_4_sent_once(self) -> None:
        """The second to mark it must not send it as well."""
        async with self._open(self._clock) as ledger:
            entry = entry_of(await ledger.reserve(wish("one"), [limit()]))
            asked = [ledger.mark_sent("one", entry.fence) for _ in range(5)]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert sum(isinstance(answer, Entry) for answer in answers) == 1
            assert sum(isinstance(answer, ReservationLost) for answer in answers) == 4

    async def check_4_not_after_the_lease(self) -> None:
        """A caller that wakes up late must not send."""
        async with self._open(self._clock) as ledger:
            entry = entry_of(await ledger.reserve(wish("one"), [limit()]))
            self._clock.move(LEASE_S)
            await refused(ledger.mark_sent("one", entry.fence), ReservationLost)

    async def check_4_not_after_the_window(self) -> None:
        """What was reserved in a window is not sent in the next."""
        short = limit(window=OpensOnUse(60.0))
        async with self._open(self._clock) as ledger:
            entry = entry_of(await ledger.reserve(wish("one"), [short]))
            self._clock.move(60.0)
            await refused(ledger.mark_sent("one", entry.fence), ReservationLost)

    async def check_4_not_without_anentry_of(self) -> None:
        """Nobody sends what was never reserved, and nobody else's calls disturb."""
        async with self._open(self._clock) as ledger:
            await refused(ledger.mark_sent("nobody", 1), ReservationLost)
            await refused(ledger.settle("nobody", 1, {}), ReservationLost)
            await refused(ledger.release("nobody", 1), ReservationLost)
            await refused(ledger.take_over("nobody", 1.0), ReservationLost)
            await refused(ledger.charge_unknown("nobody"), ReservationLost)

    async def check_5_settled_stays(self) -> None:
        """Repeating changes nothing, and no other command applies."""
        async with self._open(self._clock) as ledger:
            settled = await spend(ledger, "one", estimate=10, actual=4)
            assert await ledger.settle("one", settled.fence, {Unit.TOKENS: 9}) == settled
            assert await ledger.charge_unknown("one") == settled
            await refused(ledger.release("one", settled.fence), ReservationLost)
            await refused(ledger.release("one", settled.fence, unbilled=True), ReservationLost)
            await refused(ledger.mark_sent("one", settled.fence), ReservationLost)
            await refused(ledger.take_over("one", LEASE_S), ReservationLost)
            assert books(await ledger.balances([limit()])) == [(4, 0, 0)]

    async def check_5_released_stays(self) -> None:
        """A released hold can be neither sent nor charged."""
        async with self._open(self._clock) as ledger:
            entry = entry_of(await ledger.reserve(wish("one"), [limit()]))
            released = await ledger.release("one", entry.fence)
            assert released.state is EntryState.RELEASED
            assert await ledger.release("one", entry.fence) == released
            await refused(ledger.mark_sent("one", entry.fence), ReservationLost)
            await refused(ledger.settle("one", entry.fence, {Unit.TOKENS: 1}), ReservationLost)
            assert books(await ledger.balances([limit()])) == [(0, 0, 0)]

    async def check_5_one_true_up_downwards(self) -> None:
        """Late evidence lowers a charged estimate once, and never raises it."""
        async with self._open(self._clock) as ledger:
            for name in ("less", "more"):
                entry = entry_of(await ledger.reserve(wish(name), [limit()]))
                await ledger.mark_sent(name, entry.fence)
                charged = await ledger.charge_unknown(name)
                assert charged.state is EntryState.CHARGED_ESTIMATE
            assert books(await ledger.balances([limit()])) == [(20, 0, 0)]
            less = await ledger.settle("less", 1, {Unit.TOKENS: 3})
            more = await ledger.settle("more", 1, {Unit.TOKENS: 30})
            assert less.state is more.state is EntryState.SETTLED
            assert books(await ledger.balances([limit()])) == [(13, 0, 0)]
            assert await ledger.settle("less", 1, {Unit.TOKENS: 1}) == less

    async def check_5_no_true_up_in_a_closed_window(self) -> None:
        """The books of a closed window stand."""
        short = limit(window=OpensOnUse(60.0))
        async with self._open(self._clock) as ledger:
            entry = entry_of(await ledger.reserve(wish("one"), [short]))
            await ledger.mark_sent("one", entry.fence)
            await ledger.charge_unknown("one")
            self._clock.move(60.0)
            await refused(ledger.settle("one", entry.fence, {Unit.TOKENS: 3}), ReservationLost)
            assert [b.spent for b in await ledger.history(short.key)] == [10]

    async def check_6_the_sweep_releases_held_and_charges_sent(self) -> None:
        """Only entries whose lease is over are closed, each by what is known of it."""
        async with self._open(self._clock) as ledger:
            for name in ("held", "sent"):
                await ledger.reserve(wish(name), [limit()])
            await ledger.mark_sent("sent", 1)
            self._clock.move(LEASE_S - 1)
            await ledger.reserve(wish("young"), [limit()])
            assert await ledger.sweep() == ()
            self._clock.move(1)
            closed = {entry.request_id: entry.state for entry in await ledger.sweep()}
            assert closed == {
                "held": EntryState.RELEASED,
                "sent": EntryState.CHARGED_ESTIMATE,
            }
            assert books(await ledger.balances([limit()])) == [(10, 10, 0)]
            assert await ledger.sweep() == ()

    async def check_6_many_at_once(self) -> None:
        """However many leases are over, one sweep closes them."""
        async with self._open(self._clock) as ledger:
            wide = limit(cap=10_000)
            asked = [ledger.reserve(wish(f"r{n}"), [wide]) for n in range(250)]
            await asyncio.gather(*asked)
            self._clock.move(LEASE_S)
            assert len(await ledger.sweep()) == 250
            assert books(await ledger.balances([wide])) == [(0, 0, 0)]

    async def check_6_a_dead_hold_refuses_nobody(self) -> None:
        """What a crashed caller held is free as soon as its lease is over, sweep or not."""
        async with self._open(self._clock) as ledger:
            for n in range(10):
                await ledger.reserve(wish(f"dead{n}"), [limit()])
            assert not (await ledger.reserve(wish("alive", 100), [limit()])).granted
            self._clock.move(LEASE_S)
            assert (await ledger.reserve(wish("alive", 100), [limit()])).granted

    async def check_6_a_take_over_renews_the_lease(self) -> None:
        """The new owner has its own time."""
        async with self._open(self._clock) as ledger:
            await ledger.reserve(wish("one"), [limit()])
            self._clock.move(LEASE_S - 1)
            taken = await ledger.take_over("one", LEASE_S)
            self._clock.move(LEASE_S - 1)
            assert await ledger.sweep() == ()
            assert (await ledger.mark_sent("one", taken.fence)).state is EntryState.SENT

    async def check_6_unknown_outcomes_are_charged(self) -> None:
        """Sent and unknown is charged, held is freed, before any lease ends."""
        async with self._open(self._clock) as ledger:
            for name in ("held", "sent"):
                await ledger.reserve(wish(name), [limit()])
            await ledger.mark_sent("sent", 1)
            assert (await ledger.charge_unknown("held")).state is EntryState.RELEASED
            assert (await ledger.charge_unknown("sent")).state is EntryState.CHARGED_ESTIMATE
            assert books(await ledger.balances([limit()])) == [(10, 0, 0)]

    async def check_6_sent_is_released_only_with_proof(self) -> None:
        """Without proof that it cost nothing, sent is not released."""
        async with self._open(self._clock) as ledger:
            await ledger.reserve(wish("one"), [limit()])
            await ledger.mark_sent("one", 1)
            await refused(ledger.release("one", 1), ReservationLost)
            assert (await ledger.release("one", 1, unbilled=True)).state is EntryState.RELEASED
            assert books(await ledger.balances([limit()])) == [(0, 0, 0)]
