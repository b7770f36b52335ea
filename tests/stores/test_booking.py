"""A call and what it spent are one commit, whatever goes wrong between them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, text

from helios.errors import StoreError
from helios.stores.open import open_stores
from helios.stores.sql import engines
from helios.testing.clock import MovableClock
from helios.testing.conformance.runs import call_of, new_run


@contextmanager
def without_spends(url: str) -> Iterator[None]:
    """While the table of spending is away, no spending can be booked."""
    engine = create_engine(engines.parse(url))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE spends RENAME TO away"))
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO spends"))
        engine.dispose()


def test_a_call_that_cannot_be_booked_is_not_kept(store_url: str) -> None:
    async def tell() -> None:
        stores = open_stores(store_url, MovableClock())
        try:
            run = (await stores.runs.create_run(new_run())).id
            call, events = call_of(run), await stores.runs.events(run)
            with without_spends(store_url), pytest.raises(StoreError, match="spends"):
                await stores.runs.save_call(call)
            assert await stores.runs.call(call.request) is None
            assert await stores.runs.events(run) == events
            await stores.runs.save_call(call)
            (total,) = await stores.budget.totals("task", 0.0, 2e9, simulated=True)
            assert (total.messages, total.usage) == (1, call.usage)
        finally:
            await stores.close()

    asyncio.run(tell())
