"""Transactions under stress: together, apart, cancelled, locked out, cut off."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, text

from helios.domain.budget.ledger import Request
from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever
from helios.domain.pricing import Tier
from helios.errors import ConflictError, StoreError
from helios.stores.sql.database import Database, Patience, open_database
from helios.stores.sql.ledger import SqlLedger
from helios.stores.sql.runs import SqlRunStore
from helios.testing.clock import MovableClock
from helios.testing.conformance.runs import new_run

ADD = text("INSERT INTO ledger_windows VALUES (:key, 1, 2)")
COUNT = text("SELECT count(*) FROM ledger_windows")
HOLDER = text("SELECT pg_backend_pid()")


def on(url: str, work: Callable[[Database], Awaitable[None]], **options: Any) -> None:
    """Run a coroutine on an open database."""

    async def run() -> None:
        database = open_database(url, **options)
        try:
            await work(database)
        finally:
            await database.close()

    asyncio.run(run())


def add(key: str) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute(ADD, {"key": key})
        return key

    return work


def count(connection: Connection) -> int:
    return connection.execute(COUNT).scalar_one()


def refuse(connection: Connection) -> None:
    connection.execute(ADD, {"key": "refused"})
    raise ConflictError("no")


def test_one_that_fails_takes_nobody_along(store_url: str) -> None:
    async def work(database: Database) -> None:
        jobs = [database.write(add(f"k{n}")) for n in range(30)]
        jobs.insert(7, database.write(refuse))
        answers = await asyncio.gather(*jobs, return_exceptions=True)
        assert isinstance(answers.pop(7), ConflictError)
        assert answers == [f"k{n}" for n in range(30)]
        assert await database.read(count) == 30

    on(store_url, work)


def test_what_was_asked_for_is_done_though_nobody_waits(store_url: str) -> None:
    async def work(database: Database) -> None:
        tasks = [asyncio.ensure_future(database.write(add(f"k{n}"))) for n in range(20)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)

    async def look(database: Database) -> None:
        assert await database.read(count) == 20

    on(store_url, work)
    on(store_url, look)


@pytest.mark.parametrize("sends", [False, True])
def test_a_cancelled_reservation_holds_nothing(store_url: str, sends: bool) -> None:
    """Whoever hangs up leaves no room taken, at whatever moment."""
    limit = Limit("plan", Unit.TOKENS, 1000, Forever(), "plan", "plan")

    async def work(database: Database) -> None:
        ledger = SqlLedger(database)
        asked = [
            asyncio.ensure_future(
                ledger.reserve(
                    Request(f"r{n}", Tier.STANDARD, {Unit.TOKENS: 10}, sends=sends), [limit]
                )
            )
            for n in range(40)
        ]
        await asyncio.sleep(0.005)
        for task in asked:
            task.cancel()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        kept = [answer for answer in answers if not isinstance(answer, asyncio.CancelledError)]
        assert len(kept) < 40
        (balance,) = await ledger.balances([limit])
        assert (balance.spent, balance.held) == (0, 10 * len(kept))

    on(store_url, work)


def test_events_are_told_though_the_mover_is_cancelled(store_url: str) -> None:
    async def work(database: Database) -> None:
        told = []
        store = SqlRunStore(database, MovableClock(), told.append)
        creating = asyncio.ensure_future(store.create_run(new_run()))
        await asyncio.sleep(0)
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
        assert creating.cancelled()
        run = await store.create_run(new_run())
        assert run.number == 2
        assert [event.run for event in told] == ["shop-1.1", "shop-1.2"]

    on(store_url, work)


def test_a_writer_who_never_ends_is_reported(sqlite_store_url: str) -> None:
    other = sqlite3.connect(sqlite_store_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def work(database: Database) -> None:
        assert await database.read(count) == 0, "readers need not wait"
        began = time.perf_counter()
        jobs = [database.write(add(f"k{n}")) for n in range(5)]
        answers = await asyncio.gather(*jobs, return_exceptions=True)
        assert time.perf_counter() - began < 2, "they wait together, not one after the other"
        assert {type(answer) for answer in answers} == {StoreError}
        assert "another process keeps writing" in str(answers[0])
        other.execute("ROLLBACK")
        assert await database.write(add("now")) == "now"

    on(sqlite_store_url, work, patience=Patience(writers_s=0.3))
    other.close()


def test_a_writer_who_ends_is_waited_for(sqlite_store_url: str) -> None:
    path = sqlite_store_url.removeprefix("sqlite:///")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()

    async def work(database: Database) -> None:
        assert await database.write(add("patient")) == "patient"

    on(sqlite_store_url, work)
    other.close()


def test_a_full_disk_is_named(sqlite_store_url: str) -> None:
    def fill(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 10}")
        for n in range(10_000):
            connection.execute(ADD, {"key": f"{n}" * 50})

    async def work(database: Database) -> None:
        with pytest.raises(StoreError, match="disk is full") as raised:
            await database.write(fill)
        assert "Free disk space" in raised.value.next_step
        assert await database.read(count) == 0

    on(sqlite_store_url, work)


def test_books_that_would_not_balance_are_never_stored(store_url: str) -> None:
    overrun = text(
        "INSERT INTO ledger_balances (limit_key, opened_at, window_key, label, unit, cap, spent, "
        "held, breach) VALUES ('l', 1, 'k', '', 'tokens', 100, 60, 41, 0)"
    )

    def break_it(connection: Connection) -> None:
        connection.execute(ADD, {"key": "k"})
        connection.execute(overrun)

    async def work(database: Database) -> None:
        with pytest.raises(StoreError, match="within_cap"):
            await database.write(break_it)
        assert await database.read(count) == 0

    on(store_url, work)


@pytest.mark.postgres
def test_a_cut_connection_is_made_anew(postgres_store_url: str) -> None:
    async def work(database: Database) -> None:
        await asyncio.gather(*(database.write(add(f"k{n}")) for n in range(8)))
        with psycopg.connect(postgres_store_url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'helios' AND datname = current_database()"
            )
        jobs = [database.write(add(f"after{n}")) for n in range(8)]
        assert len(await asyncio.gather(*jobs)) == 8
        assert await database.read(count) == 16

    on(postgres_store_url, work)


@pytest.mark.postgres
def test_connections_cut_together_fail_once(postgres_store_url: str) -> None:
    """Not each in its turn, which would use up the patience for a server that is back."""
    together = threading.Barrier(8)

    async def work(database: Database) -> None:
        await asyncio.gather(*(database.read(lambda _: together.wait()) for _ in range(8)))
        with psycopg.connect(postgres_store_url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'helios' AND datname = current_database()"
            )
        assert await database.read(count) == 0

    on(postgres_store_url, work, patience=Patience(server_s=0.3))


@pytest.mark.postgres
@pytest.mark.parametrize("repeatable", [True, False])
def test_a_connection_cut_in_the_middle(postgres_store_url: str, repeatable: bool) -> None:
    """Before the commit nothing was stored, so that it may always be tried again."""
    tries = []

    def cut_once(connection: Connection) -> int:
        connection.execute(ADD, {"key": "once"})
        tries.append(connection.execute(HOLDER).scalar_one())
        if len(tries) == 1:
            with psycopg.connect(postgres_store_url, autocommit=True) as admin:
                admin.execute("SELECT pg_terminate_backend(%s)", tries)
            connection.execute(COUNT)
        return len(tries)

    async def work(database: Database) -> None:
        assert await database.write(cut_once, repeatable=repeatable) == 2
        assert await database.read(count) == 1

    on(postgres_store_url, work)


@pytest.mark.postgres
def test_a_connection_cut_in_the_commit_is_not_tried_again(postgres_store_url: str) -> None:
    """Nobody knows whether it was stored; what must not happen twice is left to a person."""
    tries = []

    def cut(connection: Connection) -> None:
        connection.execute(ADD, {"key": f"k{len(tries)}"})
        tries.append(connection.execute(HOLDER).scalar_one())
        with psycopg.connect(postgres_store_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", tries[-1:])

    async def work(database: Database) -> None:
        with pytest.raises(StoreError, match="broke in the commit") as raised:
            await database.write(cut, repeatable=False)
        assert len(tries) == 1
        assert "Look whether it was stored" in raised.value.next_step

    on(postgres_store_url, work)


@pytest.mark.postgres
def test_transactions_that_lock_each_other_out_start_again(postgres_store_url: str) -> None:
    lock = text("SELECT 1 FROM ledger_windows WHERE window_key = :key FOR UPDATE")
    both = threading.Barrier(2)

    def cross(first: str, second: str) -> Callable[[Connection], str]:
        is_first_try = True

        def work(connection: Connection) -> str:
            nonlocal is_first_try
            connection.execute(lock, {"key": first})
            if is_first_try:
                is_first_try = False
                both.wait(timeout=10)
            connection.execute(lock, {"key": second})
            return first

        return work

    async def work(database: Database) -> None:
        for key in ("a", "b"):
            await database.write(add(key))
        jobs = database.write(cross("a", "b")), database.write(cross("b", "a"))
        assert await asyncio.gather(*jobs) == ["a", "b"]

    on(postgres_store_url, work)
