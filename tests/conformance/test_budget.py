"""The budget book's promises, on every database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from helios.ports.budget import BudgetBook
from helios.ports.clock import Clock
from helios.ports.runs import RunStore
from helios.stores.open import open_stores
from helios.testing.conformance.budget import BudgetConformance


@pytest.mark.parametrize("check", BudgetConformance.checks())
def test_sql_budget_book(check: str, store_url: str) -> None:
    @asynccontextmanager
    async def open_book(clock: Clock) -> AsyncIterator[tuple[BudgetBook, RunStore]]:
        stores = open_stores(store_url, clock)
        try:
            yield stores.budget, stores.runs
        finally:
            await stores.close()

    asyncio.run(getattr(BudgetConformance(open_book), check)())
