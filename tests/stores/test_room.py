"""Waiting for room leaves nothing behind, and a broken connection is made anew."""

import asyncio
import threading
import time
from collections.abc import Callable

import psycopg
import pytest

from helios.domain.budget.ledger import Request
from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever
from helios.domain.pricing import Tier
from helios.stores.sql.database import Database, open_database
from helios.stores.sql.ledger import SqlLedger

LIMIT = Limit("plan", Unit.TOKENS, 100, Forever(), "plan", "한도")
PATIENCE_S = 20.0


async def until(is_so: Callable[[], bool]) -> None:
    began = time.perf_counter()
    while not is_so():
        assert time.perf_counter() - began < PATIENCE_S
        await asyncio.sleep(0.01)


def watchers() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name in ("helios-sql-watch", "helios-sql-listen")]


async def hold(ledger: SqlLedger, name: str) -> None:
    request = Request(name, Tier.STANDARD, {Unit.TOKENS: 10})
    assert (await ledger.reserve(request, [LIMIT])).granted


def test_a_cancelled_wait_leaves_nothing_behind(store_url: str) -> None:
    async def work() -> None:
        database = open_database(store_url)
        ledger = SqlLedger(database)
        since = await ledger.version()
        tasks = len(asyncio.all_tasks())
        waiting = [asyncio.ensure_future(ledger.wait_for_room(60, since)) for _ in range(20)]
        for number, task in enumerate(waiting):
            await asyncio.sleep(0.002 * (number % 3))
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert not database.room.is_anybody_waiting
        await until(lambda: len(asyncio.all_tasks()) == tasks)
        if not database.locks_rows:
            await until(lambda: not watchers())
        await database.close()
        assert not watchers()

    asyncio.run(work())


def test_a_wait_outlives_many_event_loops(store_url: str) -> None:
    """One store, one loop after another, as a program with a sync door has them."""
    database = open_database(store_url)
    ledger = SqlLedger(database)

    async def work(number: int) -> bool:
        await hold(ledger, f"r{number}")
        since = await ledger.version()
        waiting = asyncio.ensure_future(ledger.wait_for_room(PATIENCE_S, since))
        await asyncio.sleep(0.05)
        await ledger.release(f"r{number}", 1)
        return await waiting

    assert [asyncio.run(work(number)) for number in range(3)] == [True] * 3
    database.shut()


@pytest.mark.postgres
def test_a_broken_listener_is_made_anew_and_misses_nothing(postgres_store_url: str) -> None:
    def cut() -> None:
        with psycopg.connect(postgres_store_url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            )

    async def work(ours: Database, theirs: Database) -> None:
        listening, telling = SqlLedger(ours), SqlLedger(theirs)
        await hold(telling, "while cut")
        since = await listening.version()
        waiting = asyncio.ensure_future(listening.wait_for_room(PATIENCE_S, since))
        cut()
        await telling.release("while cut", 1)
        assert await waiting
        await hold(telling, "after")
        since = await listening.version()
        waiting = asyncio.ensure_future(listening.wait_for_room(PATIENCE_S, since))
        await asyncio.sleep(0.1)
        await telling.release("after", 1)
        assert await waiting

    ours, theirs = open_database(postgres_store_url), open_database(postgres_store_url)
    asyncio.run(work(ours, theirs))
    ours.shut()
    theirs.shut()
