"""Who may hold how much of a body, in which turn, and that all of it comes back."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.server import capacity
from helios.server.gateway import allowance
from helios.server.gateway.allowance import Allowance, NoRoomLeft, Share

MOST = 100
LARGEST = 80


def room(most: int = MOST) -> Allowance:
    return Allowance(most, largest=LARGEST)


async def begun(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """It has come as far as it can at once."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


def test_who_comes_first_goes_first() -> None:
    async def run() -> None:
        all_of_it = room()
        first, large, small = Share(all_of_it), Share(all_of_it), Share(all_of_it)
        await first.grow(60)
        waits = await begun(large.grow(70))
        waits_too = await begun(small.grow(10))  # there is room, but not before the large one
        assert (all_of_it.held, waits.done(), waits_too.done()) == (60, False, False)
        first.close()
        await asyncio.gather(waits, waits_too)
        assert (large.covers, small.held, all_of_it.held) == (70, 10, 80)
        large.close()
        small.close()
        small.close()
        assert all_of_it.held == 0

    asyncio.run(run())


def test_who_waited_long_enough_is_refused_and_makes_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        all_of_it = room()
        first, large, small = Share(all_of_it), Share(all_of_it), Share(all_of_it)
        await first.grow(60)
        monkeypatch.setattr(allowance, "WAIT_S", 0.01)
        refused = await begun(large.grow(70))
        monkeypatch.setattr(allowance, "WAIT_S", 20.0)
        goes = await begun(small.grow(10))
        with pytest.raises(NoRoomLeft):
            await refused
        await goes
        assert all_of_it.held == 70

    asyncio.run(run())


def test_a_body_larger_than_all_there_is_goes_alone() -> None:
    async def run() -> None:
        all_of_it = room(most=50)
        first, large, small = Share(all_of_it), Share(all_of_it), Share(all_of_it)
        await first.grow(1)
        goes = await begun(large.grow(70))
        assert not goes.done()
        first.close()
        await goes
        waits = await begun(small.grow(1))
        assert not waits.done()
        large.shrink(60)
        assert (all_of_it.held, waits.done()) == (60, False)
        large.close()
        await waits
        assert all_of_it.held == 1

    asyncio.run(run())


def test_bodies_that_grow_do_not_block_each_other() -> None:
    async def run() -> None:
        all_of_it = room()
        shares = [Share(all_of_it) for _ in range(4)]
        for share in shares:
            await share.grow(25)
        growing = [await begun(share.grow(50)) for share in shares]
        # All wait for one another: the first goes on, to whatever end, and no other.
        assert [task.done() for task in growing] == [True, False, False, False]
        assert all_of_it.held == 75 + LARGEST
        shares[0].close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [task.done() for task in growing] == [True, True, False, False]
        for share, task in zip(shares[1:], growing[1:], strict=True):
            await task
            share.close()
        assert all_of_it.held == 0

    asyncio.run(run())


def test_who_leaves_while_waiting_leaves_nothing() -> None:
    async def run() -> None:
        all_of_it = room()
        first, gone, last = Share(all_of_it), Share(all_of_it), Share(all_of_it)
        await first.grow(60)
        leaving = await begun(gone.grow(50))
        waits = await begun(last.grow(50))
        leaving.cancel()
        first.close()  # before whoever was cancelled knows
        with suppress(asyncio.CancelledError):
            await leaving
        gone.close()
        await waits
        assert all_of_it.held == 50

    asyncio.run(run())


def test_a_share_is_kept_as_long_as_something_needs_the_body() -> None:
    async def run() -> None:
        all_of_it = room()
        share, end = Share(all_of_it), asyncio.Event()
        await share.grow(60)

        async def settle() -> None:
            await end.wait()

        task = asyncio.create_task(settle())
        share.keep_until(task)
        share.close()
        assert all_of_it.held == 60
        end.set()
        await task
        await asyncio.sleep(0)
        assert all_of_it.held == 0

    asyncio.run(run())


body = st.tuples(st.lists(st.integers(1, LARGEST), min_size=1, max_size=4), st.integers(0, 12))


@given(st.lists(body, max_size=12), st.integers(1, MOST))
def test_never_more_than_one_body_beyond_it_and_all_comes_back(
    bodies: list[tuple[list[int], int]], most: int
) -> None:
    """Each grows to some sizes; every third is cancelled after so many turns of the loop."""

    async def run() -> None:
        all_of_it = Allowance(most, largest=LARGEST)
        shares: list[Share] = []

        def check() -> None:
            assert all_of_it.held == sum(share.held for share in shares)
            assert all_of_it.held <= most + LARGEST

        async def one(sizes: list[int]) -> None:
            share = Share(all_of_it)
            shares.append(share)
            try:
                for size in sorted(sizes):
                    if size > share.held:
                        await share.grow(size)
                    check()
                    await asyncio.sleep(0)
                share.shrink(max(sizes))
                await asyncio.sleep(0)
            finally:
                share.close()
                check()

        async def leave(task: "asyncio.Task[None]", turns: int) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()

        tasks = [asyncio.create_task(one(sizes)) for sizes, _ in bodies]
        leaving = [leave(tasks[at], bodies[at][1]) for at in range(0, len(tasks), 3)]
        await asyncio.gather(*leaving)
        ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        assert all(end is None for at, end in enumerate(ends) if at % 3)
        assert all_of_it.held == 0

    asyncio.run(run())


def test_how_much_this_machine_allows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(capacity, "CONTAINER_LIMITS", (tmp_path / "없음", limit))
    assert 0 < capacity.most_body_bytes() <= capacity.MOST_BODY_MEMORY
    limit.write_text("max\n")
    unlimited = capacity.most_body_bytes()
    limit.write_text("400000000\n")
    assert capacity.most_body_bytes() == min(unlimited, 100_000_000)
