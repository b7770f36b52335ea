"""The key book's promises, on every database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from helios.ports.keys import KeyBook
from helios.stores.open import open_stores
from helios.testing.clock import MovableClock
from helios.testing.conformance.keys import KeyBookConformance


@pytest.mark.parametrize("check", KeyBookConformance.checks())
def test_sql_key_book(check: str, store_url: str) -> None:
    @asynccontextmanager
    async def open_book() -> AsyncIterator[KeyBook]:
        stores = open_stores(store_url, MovableClock())
        try:
            yield stores.keys
        finally:
            await stores.close()

    asyncio.run(getattr(KeyBookConformance(open_book), check)())
