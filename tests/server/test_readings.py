"""Readings that are shared: how old they may be, who waits for whom, what an error does."""

import asyncio

import pytest

from helios.errors import StoreError
from helios.server.readings import Shared
from helios.testing.clock import MovableClock


class Well:
    """Answers with how often it was read, when it is let."""

    def __init__(self) -> None:
        self.reads = 0
        self.let = asyncio.Event()
        self.let.set()
        self.dry = False

    async def read(self) -> int:
        self.reads += 1
        mine = self.reads
        await self.let.wait()
        if self.dry:
            raise StoreError("dry")
        return mine


def test_a_reading_serves_until_it_is_too_old() -> None:
    async def go() -> None:
        clock, well = MovableClock(), Well()
        shared = Shared(well.read, clock, lasts_s=0.1)
        assert await shared.get() == (1, 0.0)
        clock.move(0.09)
        value, age_s = await shared.get()
        assert (value, age_s) == (1, pytest.approx(0.09))
        clock.move(0.02)
        assert await shared.get() == (2, 0.0)

    asyncio.run(go())


def test_its_age_counts_from_when_reading_began() -> None:
    async def go() -> None:
        clock, well = MovableClock(), Well()
        well.let.clear()
        shared = Shared(well.read, clock, lasts_s=1.0)
        asked = asyncio.create_task(shared.get())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        clock.move(0.4)
        well.let.set()
        assert await asked == (1, pytest.approx(0.4))

    asyncio.run(go())


def test_many_who_come_together_read_once_and_one_who_leaves_takes_nothing() -> None:
    async def go() -> None:
        clock, well = MovableClock(), Well()
        well.let.clear()
        shared = Shared(well.read, clock, lasts_s=0.1)
        asked = [asyncio.create_task(shared.get()) for _ in range(50)]
        await asyncio.sleep(0.01)
        asked[0].cancel()
        well.let.set()
        assert {value for value, _ in await asyncio.gather(*asked[1:])} == {1}
        assert well.reads == 1

    asyncio.run(go())


def test_an_error_is_told_to_all_who_wait_and_not_kept() -> None:
    async def go() -> None:
        clock, well = MovableClock(), Well()
        well.dry = True
        shared = Shared(well.read, clock, lasts_s=10.0)
        told = await asyncio.gather(*(shared.get() for _ in range(9)), return_exceptions=True)
        assert all(isinstance(one, StoreError) for one in told)
        assert well.reads == 1
        well.dry = False
        assert (await shared.get())[0] == 2

    asyncio.run(go())


def test_what_was_read_before_a_change_is_not_told_after_it() -> None:
    async def go() -> None:
        clock, well = MovableClock(), Well()
        well.let.clear()
        shared = Shared(well.read, clock, lasts_s=10.0)
        before = asyncio.create_task(shared.get())
        await asyncio.sleep(0.01)
        shared.forget()
        slow, well.let = well.let, asyncio.Event()
        well.let.set()
        assert (await shared.get())[0] == 2
        slow.set()
        assert (await before)[0] == 1
        assert (await shared.get())[0] == 2

    asyncio.run(go())
