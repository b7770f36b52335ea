"""What is asked of a database after its end is refused, and keeps nobody waiting."""

import asyncio

import pytest
from sqlalchemy import Connection, text

from helios.errors import StoreError
from helios.stores.sql.database import open_database


def one(connection: Connection) -> int:
    return int(connection.execute(text("select 1")).scalar_one())


def test_a_closed_database_refuses(store_url: str) -> None:
    async def go() -> None:
        database = open_database(store_url, durable=False)
        assert await database.write(one) == 1
        await database.close()
        async with asyncio.timeout(20):
            for patient in (False, True, False):
                with pytest.raises(StoreError, match="is closed") as refused:
                    await database.write(one, patient=patient)
                assert "started anew" in refused.value.next_step
            for work in (database.read(one), database.listen()):
                with pytest.raises(StoreError, match="is closed"):
                    await work

    asyncio.run(go())


def test_who_asked_before_the_end_is_served(store_url: str) -> None:
    async def go() -> None:
        database = open_database(store_url, durable=False)
        asked = [asyncio.ensure_future(database.write(one)) for _ in range(200)]
        await asyncio.sleep(0)
        await database.close()
        assert await asyncio.gather(*asked) == [1] * 200

    asyncio.run(go())
