"""Books that somebody falsified are found, named and put right."""

import asyncio

from sqlalchemy import text

from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever
from helios.stores.sql.database import open_database
from helios.stores.sql.ledger import SqlLedger
from helios.stores.sql.verify import Mismatch, Sums, rebuild, verify
from helios.testing.conformance.ledger_basics import spend, wish

FALSIFY = text(
    "UPDATE ledger_balances SET spent = 1, held = 2, breach = 0 WHERE limit_key = '한도'"
)


def test_falsified_books_are_found_and_rebuilt(store_url: str) -> None:
    async def work() -> None:
        ours = Limit("한도", Unit.TOKENS, 100, Forever(), "w", "한도")
        other = Limit("other", Unit.TOKENS, 100, Forever(), "w", "other")
        database = open_database(store_url)
        ledger = SqlLedger(database)
        await spend(ledger, "settled", 10, 4, limits=[ours, other])
        await spend(ledger, "dearer", 60, 75, limits=[ours])
        await ledger.reserve(wish("held", 5), [ours, other])
        await ledger.reserve(wish("released", 5), [ours])
        await ledger.release("released", 1)
        before = await ledger.balances([ours, other])
        assert await verify(database) == ()
        assert await rebuild(database) == ()
        await database.write(lambda connection: connection.execute(FALSIFY).close())
        opened_at = before[0].window.opened_at
        wrong = (Mismatch("한도", opened_at, Sums(1, 2, 0), Sums(79, 5, 15)),)
        assert await verify(database) == wrong
        assert await rebuild(database) == wrong
        assert await verify(database) == ()
        assert await ledger.balances([ours, other]) == before
        await database.close()

    asyncio.run(work())
