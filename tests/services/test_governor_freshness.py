"""How old the ceilings and the brake may be that a call is admitted by, and what that costs."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from helios.domain.budget.account import LimitRule
from helios.domain.budget.ledger import Request
from helios.domain.budget.throttle import Throttle
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever
from helios.domain.pricing import Tier
from helios.errors import StoreError
from helios.ports.budget import BudgetBook
from helios.services.governor import Governor
from tests.services.rooms import Rooms, in_rooms

PAUSED = Throttle("paused", 0.0, reason="점검")
ONE = {Unit.MESSAGES: 1}


class WatchedBook:
    """A real book whose reads are counted, and may be held up or refused."""

    def __init__(self, book: BudgetBook) -> None:
        self._book = book
        self.reads = 0
        self.broken = False
        self.gate = asyncio.Event()
        self.gate.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._book, name)

    async def limit_rules(self) -> tuple[LimitRule, ...]:
        self.reads += 1
        rules = await self._book.limit_rules()
        await self.gate.wait()
        if self.broken:
            raise StoreError("the book is away")
        return rules


def watched(rooms: Rooms) -> tuple[Governor, WatchedBook]:
    book = WatchedBook(rooms.stores.budget)
    governor = Governor(rooms.stores.ledger, rooms.governor.ceilings, rooms.clock, book)
    return governor, book


async def turns(count: int = 10) -> None:
    """Let what runs beside go on."""
    for _ in range(count):
        await asyncio.sleep(0.005)


def wish(name: str) -> Request:
    return Request(name, Tier.ECONOMY, ONE)


def test_after_idling_none_of_many_calls_passes_a_brake_that_was_set(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        governor, book = watched(rooms)
        await governor.refresh()
        await rooms.stores.budget.set_throttle(PAUSED)
        rooms.clock.move(3)
        book.reads = 0
        many = (governor.reserve(wish(f"c{n}"), rooms.limits(messages=50)) for n in range(8))
        answers = await asyncio.gather(*many)
        assert [answer.granted for answer in answers] == [False] * 8
        assert book.reads == 1

    in_rooms(tmp_path, work)


def test_they_are_renewed_beside_the_calls_so_that_none_waits(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        governor, book = watched(rooms)
        await governor.refresh()
        await rooms.stores.budget.set_throttle(PAUSED)
        rooms.clock.move(0.4)
        assert await governor.refresh() is None
        assert book.reads == 1  # young enough: nothing was begun
        book.gate.clear()
        rooms.clock.move(0.2)
        for _ in range(5):
            with pytest.raises(StopIteration) as returned:
                governor.refresh().send(None)  # answered without waiting for anything
            assert returned.value.value is None
        await turns()
        assert book.reads == 2
        book.gate.set()
        await turns()
        assert await governor.refresh() == PAUSED

    in_rooms(tmp_path, work)


def test_without_the_book_nothing_is_admitted_and_with_it_at_once(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        governor, book = watched(rooms)
        limits = rooms.limits(messages=50)
        assert (await governor.reserve(wish("a"), limits)).granted
        book.broken = True
        rooms.clock.move(0.7)
        assert (await governor.reserve(wish("b"), limits)).granted  # not too old yet
        await turns()
        rooms.clock.move(0.7)
        for name in ("c", "d"):
            with pytest.raises(StoreError, match="away"):
                await governor.reserve(wish(name), limits)
            assert await rooms.stores.ledger.entry(name) is None
        book.broken = False
        assert (await governor.reserve(wish("c"), limits)).granted

    in_rooms(tmp_path, work)


def test_who_leaves_while_they_are_read_takes_nothing_from_the_others(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        governor, book = watched(rooms)
        book.gate.clear()
        gone, patient = (asyncio.ensure_future(governor.refresh()) for _ in range(2))
        await turns()
        gone.cancel()
        await turns()
        assert not patient.done()
        book.gate.set()
        assert await patient is None
        assert (gone.cancelled(), book.reads) == (True, 1)

    in_rooms(tmp_path, work)


def test_as_they_are_now_is_not_as_an_earlier_read_found_them(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        governor, book = watched(rooms)
        book.gate.clear()
        before = asyncio.ensure_future(governor.refresh())
        await turns()
        rule = LimitRule("회사", "cap", Unit.MESSAGES, 5, Forever())
        await rooms.stores.budget.put_limit_rule(rule)
        after = asyncio.ensure_future(governor.refresh(now=True))
        await turns()
        book.gate.set()
        await asyncio.gather(before, after)
        assert governor.ceilings.rules == (rule,)

    in_rooms(tmp_path, work)


def test_a_brake_set_while_a_call_waits_for_room_holds_it(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        limits = rooms.limits(messages=1)
        first = (await rooms.governor.reserve(wish("a"), limits)).entry
        assert first is not None
        waiting = asyncio.ensure_future(rooms.governor.reserve(wish("b"), limits, wait_s=60))
        await turns()
        await rooms.stores.budget.set_throttle(PAUSED)
        rooms.clock.move(2)
        await rooms.stores.ledger.release("a", first.fence)
        answer = await rooms.while_time_passes(waiting)
        assert (answer.granted, answer.reason) == (False, "paused: 점검")

    in_rooms(tmp_path, work)
