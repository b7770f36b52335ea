"""Who waits for room is woken by whoever makes some."""

import asyncio
from collections.abc import Awaitable, Callable

from helios.domain.budget.units import Unit
from helios.ports.ledger import Ledger
from helios.testing.conformance.ledger_basics import LEASE_S, LedgerSuite, entry_of, limit, wish

LONG_S = 3600.0
SOON_S = 20.0
"""So much real time is more than enough for a message; a slow machine must not fail a check."""

WAYS: dict[str, Callable[[Ledger, str], Awaitable[object]]] = {
    "settled": lambda ledger, name: ledger.settle(name, 1, {Unit.TOKENS: 1}),
    "released": lambda ledger, name: ledger.release(name, 1, unbilled=True),
    "closed": lambda ledger, name: ledger.charge_unknown(name),
}


class WaitingChecks(LedgerSuite):
    """Who waits for room is woken by whoever makes some."""

    async def check_9_woken_in_the_same_process(self) -> None:
        """By a settlement, a release and a charge alike."""
        async with self._open(self._clock) as ledger:
            for way, act in WAYS.items():
                await self._sent(ledger, way)
                since = await ledger.version()
                waiting = [await begin(ledger, since) for _ in range(3)]
                await act(ledger, way)
                assert await woken(*waiting) == [True] * 3

    async def check_9_woken_by_another_store(self) -> None:
        """By callers who share nothing but the database."""
        async with self._open(self._clock) as ours, self._open(self._clock) as theirs:
            for way, act in WAYS.items():
                await self._sent(theirs, way)
                waiting = await begin(ours, await ours.version())
                await act(theirs, way)
                assert await woken(waiting) == [True]

    async def check_9_nothing_is_missed_before_the_wait(self) -> None:
        """What happens between the refusal and the wait counts, here and elsewhere."""
        async with self._open(self._clock) as ours, self._open(self._clock) as theirs:
            for number, other in enumerate((ours, theirs)):
                name = f"{number}"
                await self._sent(ours, name)
                since = await ours.version()
                await other.settle(name, 1, {Unit.TOKENS: 1})
                assert await woken(await begin(ours, since)) == [True]

    async def check_9_what_makes_no_room_wakes_nobody(self) -> None:
        """Nor what was settled before the caller looked."""
        async with self._open(self._clock) as ours, self._open(self._clock) as theirs:
            await self._sent(ours, "before")
            await ours.settle("before", 1, {Unit.TOKENS: 1})
            await theirs.settle("before", 1, {Unit.TOKENS: 1})
            await asyncio.sleep(0.1)
            waiting = await begin(ours, await ours.version())
            await self._sent(ours, "one")
            await self._sent(theirs, "two")
            await asyncio.sleep(0.3)
            assert not waiting.done()
            waiting.cancel()

    async def check_9_a_wait_ends_by_the_ledgers_clock(self) -> None:
        """False after the timeout, and not before it."""
        async with self._open(self._clock) as ledger:
            waiting = await begin(ledger, await ledger.version(), 60.0)
            self._clock.move(59.0)
            await asyncio.sleep(0.05)
            assert not waiting.done()
            self._clock.move(1.0)
            assert await woken(waiting) == [False]
            assert not await ledger.wait_for_room(0.0, await ledger.version())

    async def check_9_a_lease_that_ends_wakes_too(self) -> None:
        """Nobody else would tell of a caller who crashed."""
        async with self._open(self._clock) as ledger:
            await ledger.reserve(wish("dead", 100), [limit()])
            waiting = await begin(ledger, await ledger.version())
            self._clock.move(LEASE_S)
            assert await woken(waiting) == [True]
            assert (await ledger.reserve(wish("alive", 100), [limit()])).granted

    async def check_9_a_cancelled_wait_disturbs_nobody(self) -> None:
        """The others are woken as before."""
        async with self._open(self._clock) as ledger:
            await self._sent(ledger, "one")
            since = await ledger.version()
            gone, stays = await begin(ledger, since), await begin(ledger, since)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            await ledger.settle("one", 1, {Unit.TOKENS: 1})
            assert await woken(stays) == [True]

    async def check_9_a_queue_for_one_place_gets_through(self) -> None:
        """Two stores, ten callers, room for one: each has its turn, and nobody waits for ever."""
        one_place = limit(cap=10_000)

        async def call(ledger: Ledger, name: str) -> None:
            since = await ledger.version()
            while not (await ledger.reserve(wish(name, 9_000), [one_place])).granted:
                assert await ledger.wait_for_room(LONG_S, since)
                since = await ledger.version()
            await ledger.mark_sent(name, 1)
            await ledger.settle(name, 1, {Unit.TOKENS: 1})

        async with self._open(self._clock) as ours, self._open(self._clock) as theirs:
            calls = [call(ours if n % 2 else theirs, f"{n}번") for n in range(10)]
            await asyncio.wait_for(asyncio.gather(*calls), 2 * SOON_S)

    async def _sent(self, ledger: Ledger, name: str) -> None:
        entry = entry_of(await ledger.reserve(wish(name), [limit()]))
        await ledger.mark_sent(name, entry.fence)


async def begin(ledger: Ledger, since: int, timeout_s: float = LONG_S) -> asyncio.Task[bool]:
    """Begin to wait, and let it get as far as it gets."""
    waiting = asyncio.ensure_future(ledger.wait_for_room(timeout_s, since))
    await asyncio.sleep(0.1)
    return waiting


async def woken(*waiting: asyncio.Task[bool]) -> list[bool]:
    """What they were told."""
    return await asyncio.wait_for(asyncio.gather(*waiting), SOON_S)
