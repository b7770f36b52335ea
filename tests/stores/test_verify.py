"""Books that somebody falsified are found, named and put right."""

import asyncio
import sqlite3
from dataclasses import replace

from sqlalchemy import text

from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever
from helios.ports.audit import Findings, Mismatch, Sums
from helios.stores.sql.database import Database, open_database
from helios.stores.sql.ledger import SqlLedger
from helios.stores.sql.verify import SqlAuditor
from helios.testing.conformance.ledger_basics import spend, wish

FALSIFY = "UPDATE ledger_balances SET spent = 1, held = 2, breach = 0 WHERE limit_key = '한도'"
LOWER = "UPDATE ledger_balances SET cap=10, spent=0, held=0, breach=0 WHERE limit_key='한도'"
TAKE_AWAY = "DELETE FROM ledger_balances WHERE limit_key IN ('한도', 'unused')"
UNGUARD = "SET LOCAL session_replication_role = 'replica'"

OURS = Limit("한도", Unit.TOKENS, 100, Forever(), "w", "모두의 한도")
OTHER = Limit("other", Unit.TOKENS, 100, Forever(), "w", "other")
UNUSED = Limit("unused", Unit.TOKENS, 100, Forever(), "v", "unused")


async def spent_on(database: Database) -> SqlLedger:
    """A ledger in which something is settled, dearer than expected, held and released."""
    ledger = SqlLedger(database)
    await spend(ledger, "settled", 10, 4, limits=[OURS, OTHER])
    await spend(ledger, "dearer", 60, 75, limits=[OURS])
    await ledger.reserve(wish("held", 5), [OURS, OTHER])
    await ledger.reserve(wish("released", 5), [OURS, UNUSED])
    await ledger.release("released", 1)
    return ledger


async def write(database: Database, *statements: str) -> None:
    """Write past Helios."""

    def work(connection):
        for statement in statements:
            connection.execute(text(statement)).close()

    await database.write(work)


def test_falsified_books_are_found_and_rebuilt(store_url: str) -> None:
    async def work() -> None:
        database = open_database(store_url)
        ledger, auditor = await spent_on(database), SqlAuditor(database)
        before = await ledger.balances([OURS, OTHER])
        assert await auditor.verify() == Findings(3, 3, ())
        assert await auditor.rebuild() == Findings(3, 3, ())
        await write(database, FALSIFY)
        opened_at = before[0].window.opened_at
        wrong = Mismatch(
            "한도", "모두의 한도", Unit.TOKENS, opened_at, Sums(1, 2, 0), Sums(79, 5, 15)
        )
        assert await auditor.verify() == Findings(3, 3, (wrong,))
        assert await auditor.rebuild() == Findings(3, 3, (wrong,))
        assert await auditor.verify() == Findings(3, 3, ())
        assert await ledger.balances([OURS, OTHER]) == before
        await database.close()

    asyncio.run(work())


def test_what_is_spent_is_booked_beyond_the_ceiling_and_nothing_more_fits(store_url: str) -> None:
    async def work() -> None:
        database = open_database(store_url)
        ledger, auditor = await spent_on(database), SqlAuditor(database)
        await write(database, LOWER)
        (wrong,) = (await auditor.rebuild()).mismatches
        assert wrong.booked == Sums(0, 0, 0)
        assert (await auditor.verify()).mismatches == ()
        (after,) = await ledger.balances([OURS])
        assert (after.spent, after.held, after.breach) == (79, 5, 15)
        refused = await ledger.reserve(wish("next", 1), [replace(OURS, cap=10)])
        assert not refused.granted
        await database.close()

    asyncio.run(work())


def test_books_that_are_gone_are_found_and_not_invented(store_url: str) -> None:
    async def work() -> None:
        database = open_database(store_url)
        ledger, auditor = await spent_on(database), SqlAuditor(database)
        before = await ledger.balances([OURS])
        if database.locks_rows:
            await write(database, UNGUARD, TAKE_AWAY)
        else:
            with sqlite3.connect(store_url.removeprefix("sqlite:///")) as connection:
                connection.execute(TAKE_AWAY)
        opened_at = before[0].window.opened_at
        gone = Mismatch("한도", "", None, opened_at, None, Sums(79, 5, 15))
        assert await auditor.verify() == Findings(1, 2, (gone,))
        assert await auditor.rebuild() == Findings(1, 2, (gone,))
        assert await auditor.verify() == Findings(1, 2, (gone,))
        # The next call on the limit opens its books again, empty; then they can be mended.
        await ledger.reserve(wish("next", 1), [OURS])
        assert [wrong.booked for wrong in (await auditor.rebuild()).mismatches] == [Sums(0, 1, 0)]
        assert (await auditor.verify()).mismatches == ()
        (after,) = await ledger.balances([OURS])
        assert (after.spent, after.held, after.breach) == (79, 6, 15)
        await database.close()

    asyncio.run(work())
