"""The run store's promises, on every database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from helios.ports.clock import Clock
from helios.ports.events import EventSink
from helios.ports.runs import RunStore
from helios.stores.open import open_stores
from helios.testing.conformance.runs import RunStoreConformance


@pytest.mark.parametrize("check", RunStoreConformance.checks())
def test_sql_run_store(check: str, store_url: str) -> None:
    @asynccontextmanager
    async def open_store(clock: Clock, sink: EventSink) -> AsyncIterator[RunStore]:
        stores = open_stores(store_url, clock, sink)
        try:
            yield stores.runs
        finally:
            await stores.close()

    asyncio.run(getattr(RunStoreConformance(open_store), check)())
