"""PostgreSQL keeps its plans: those made while the tables are small must serve large ones too."""

import asyncio

import psycopg
import pytest
from sqlalchemy import Connection

from helios.domain.budget.ledger import Request
from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever
from helios.domain.pricing import Tier
from helios.stores.sql import ledger_statements as sql
from helios.stores.sql.database import open_database
from helios.stores.sql.ledger import SqlLedger


@pytest.mark.postgres
def test_a_small_table_is_read_by_key(postgres_store_url: str) -> None:
    """Else whatever is reserved after the first ANALYZE reads everything until the next one."""
    limit = Limit("plan", Unit.TOKENS, 1000, Forever(), "plan", "plan")

    def explain(connection: Connection) -> str:
        query = f"EXPLAIN {sql.look(1).compile(connection.engine)}"
        return "\n".join(connection.exec_driver_sql(query, {"r0": "하나"}).scalars())

    async def plan() -> str:
        database = open_database(postgres_store_url)
        ledger = SqlLedger(database)
        await ledger.reserve(Request("하나", Tier.STANDARD, {Unit.TOKENS: 10}), [limit])
        with psycopg.connect(postgres_store_url, autocommit=True) as admin:
            admin.execute("VACUUM ANALYZE ledger_entries, ledger_lines, ledger_balances")
        found = await database.read(explain)
        await database.close()
        return found

    found = asyncio.run(plan())
    assert "ledger_lines" in found
    for table in ("ledger_entries", "ledger_lines", "ledger_balances"):
        assert f"Seq Scan on {table}" not in found, found
    assert "JIT" not in found, found
