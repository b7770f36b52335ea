"""The ledger's promises, on every database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from helios.ports.clock import Clock
from helios.ports.ledger import Ledger
from helios.stores.open import open_stores
from helios.testing.conformance.ledger import LedgerConformance


@pytest.mark.parametrize("check", LedgerConformance.checks())
def test_sql_ledger(check: str, store_url: str) -> None:
    @asynccontextmanager
    async def open_ledger(clock: Clock) -> AsyncIterator[Ledger]:
        stores = open_stores(store_url, clock)
        try:
            yield stores.ledger
        finally:
            await stores.close()

    asyncio.run(getattr(LedgerConformance(open_ledger), check)())
