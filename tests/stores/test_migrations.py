"""The schema's history, up and down, on every database."""

import asyncio
import math
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text

from helios.domain.budget.spend import SpendTotal
from helios.domain.ids import RunId
from helios.domain.usage import Usage
from helios.errors import StoreError
from helios.stores.open import open_stores
from helios.stores.sql import engines, migrations
from helios.stores.sql.database import open_database
from helios.stores.sql.schema import metadata
from helios.testing.clock import MovableClock


def engine_of(url: str) -> Engine:
    return create_engine(engines.parse(url))


def test_opening_makes_the_tables_of_the_schema(empty_url: str) -> None:
    open_database(empty_url).shut()
    engine = engine_of(empty_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": migrations.VERSION_TABLE}
        )
        assert compare_metadata(context, metadata) == []
        assert _names(connection) == _names_in_schema()
    engine.dispose()


def _names_in_schema() -> dict[str, set[str]]:
    """Constraints and indices by their names, which a comparison of columns does not see."""
    return {
        table.name: {str(c.name) for c in table.constraints if c.name}
        | {str(index.name) for index in table.indexes}
        for table in metadata.sorted_tables
    }


def _names(connection) -> dict[str, set[str]]:
    found = inspect(connection)
    return {
        name: {c["name"] for c in found.get_check_constraints(name)}
        | {c["name"] for c in found.get_foreign_keys(name)}
        | {c["name"] for c in found.get_unique_constraints(name)}
        | {found.get_pk_constraint(name)["name"]}
        | {i["name"] for i in found.get_indexes(name) if not i.get("duplicates_constraint")}
        for name in metadata.tables
    }


def test_down_and_up_again(empty_url: str) -> None:
    open_database(empty_url).shut()
    engine = engines.create(engines.parse(empty_url))
    with engine.connect() as connection:
        with engines.begin(connection, to_write=True):
            migrations.migrate(connection, "base", empty_url)
        assert set(inspect(connection).get_table_names()) == {migrations.VERSION_TABLE}
        connection.rollback()
        with engines.begin(connection):
            assert migrations.version(connection) is None
    engine.dispose()
    open_database(empty_url).shut()
    engine = engine_of(empty_url)
    assert set(metadata.tables) < set(inspect(engine).get_table_names())
    with engine.connect() as connection:
        assert connection.execute(text("SELECT latest FROM ledger_clock")).all() == [(0.0,)]
    engine.dispose()


def test_calls_of_before_are_booked(empty_url: str) -> None:
    """A record made when there was no spending gets it, once, and loses it going down."""
    engine = engines.create(engines.parse(empty_url))
    _migrate(engine, "0001")
    old = _columns(engine)
    with engine.begin() as connection:
        for statement in _RECORD_OF_0001:
            connection.execute(text(statement))
    calls = _rows(engine, "calls")
    for _ in range(2):
        spent, kept = asyncio.run(_look(empty_url))
        usage = Usage(2**53 + 1, 340, 5, 6)
        assert spent == (
            (SpendTotal("가게-1", 2, usage + Usage(2**53 + 1, 0, 5, 6), 2**53 + 7),),
            (SpendTotal("시험-2", 1, usage, 7),),
        )
        assert [(call.request, call.agent, call.account) for call in kept] == [
            ("가게-1.1/계획/1.1", "", ""),
            ("가게-1.1/계획/1.2", "", ""),
        ]
        (row,) = (row for row in _rows(engine, "spends") if row["request_id"] == kept[0].request)
        assert (row["at"], row["source"], row["task"], row["tier"]) == (2.25, "run", "계획", "강함")
        _migrate(engine, "0001")
        assert _columns(engine) == old
        assert _rows(engine, "calls") == calls
    engine.dispose()


_RECORD_OF_0001 = (
    *(
        f"""INSERT INTO runs VALUES ({seq}, '{project}.1', '{project}', 1, '이름', '/', '{{}}', 'd',
        'done', '', 'p', {simulated}, 'direct', 1.0, 2.0)"""
        for seq, project, simulated in ((1, "가게-1", "FALSE"), (2, "시험-2", "TRUE"))
    ),
    *(
        f"""INSERT INTO tasks VALUES ('{project}.1', '계획', 0, 'done', '', 1, NULL, NULL, NULL,
        NULL, NULL, '')"""
        for project in ("가게-1", "시험-2")
    ),
    *(
        f"""INSERT INTO calls VALUES ({seq}, '{run}/계획/1.{seq}', '{run}', '계획', 1, '모델',
        '강함', 'p', {simulated}, {2**53 + 1}, {output}, 5, 6, {cost}, 1.0, 2.25, '네')"""
        for seq, run, simulated, output, cost in (
            (1, "가게-1.1", "FALSE", 340, 2**53),
            (2, "가게-1.1", "FALSE", 0, 7),
            (3, "시험-2.1", "TRUE", 340, 7),
        )
    ),
)


def _migrate(engine: Engine, to: str) -> None:
    with engine.connect() as connection, engines.begin(connection, to_write=True):
        migrations.migrate(connection, to, "here")


def _columns(engine: Engine) -> dict[str, list[str]]:
    found = inspect(engine)
    return {
        table: [f"{c['name']} {c['type']} {c['nullable']}" for c in found.get_columns(table)]
        for table in found.get_table_names()
    }


def _rows(engine: Engine, table: str) -> list[dict]:
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT * FROM {table} ORDER BY seq"))
        return [dict(row) for row in found.mappings()]


async def _look(url: str):
    """What was spent, really and in play, and the calls of the first run."""
    stores = open_stores(url, MovableClock())
    spent = [
        await stores.budget.totals("project", 0.0, math.inf, simulated=simulated)
        for simulated in (False, True)
    ]
    kept = await stores.runs.calls(RunId("가게-1.1"))
    await stores.close()
    return tuple(spent), kept


def test_batches_of_before_stay_open_and_ended_ones_go_down_with_the_column(empty_url: str) -> None:
    engine = engines.create(engines.parse(empty_url))
    _migrate(engine, "0003")
    old = _columns(engine)
    with engine.begin() as connection:
        for number in (1, 2):
            connection.execute(
                text(
                    "INSERT INTO gateway_batches VALUES "
                    f"('요청-{number}', '배치-{number}', '회사/가게', '가게', FALSE, {number}.5)"
                )
            )
    assert asyncio.run(_batches(empty_url, close="요청-1")) == ["배치-2"]
    _migrate(engine, "0003")
    assert _columns(engine) == old
    assert asyncio.run(_batches(empty_url)) == ["배치-2"]
    engine.dispose()


async def _batches(url: str, close: str = "") -> list[str]:
    """The open ones, after one was closed; whose they are is what they count against."""
    stores = open_stores(url, MovableClock())
    before = await stores.keys.open_batches(simulated=False)
    assert {(batch.owner, batch.account) for batch in before} == {("회사/가게", "회사/가게")}
    await stores.keys.close_batch(close, 9.5)
    kept = await stores.keys.open_batches(simulated=False)
    names = [batch.upstream_id for batch in before]
    owners = await stores.keys.batch_owners(names, simulated=False)
    assert owners == dict.fromkeys(names, "회사/가게")
    await stores.close()
    return [batch.upstream_id for batch in kept]


def test_a_process_of_before_that_still_runs_hides_no_batch_from_its_key(empty_url: str) -> None:
    """It notes no owner, as of what the root made for an account, which gives nothing away."""
    asyncio.run(_owners(empty_url, []))
    engine = engines.create(engines.parse(empty_url))
    accounts = ["keys/하나", "keys/하나/가게", "회사/가게", "keys", "keysets/둘"]
    with engine.begin() as connection:
        for account in accounts:
            connection.execute(
                text(
                    "INSERT INTO gateway_batches (request_id, upstream_id, account, project,"
                    f" simulated, created_at) VALUES ('{account}', '{account}', '{account}', '',"
                    " FALSE, 1.5)"
                )
            )
    engine.dispose()
    owners = asyncio.run(_owners(empty_url, accounts))
    assert owners == {**dict.fromkeys(accounts, ""), **{name: name for name in accounts[:2]}}


async def _owners(url: str, names: list[str]) -> dict[str, str]:
    stores = open_stores(url, MovableClock())
    owners = await stores.keys.batch_owners(names, simulated=False)
    await stores.close()
    return dict(owners)


def test_a_failed_migration_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All or nothing, on SQLite too."""
    monkeypatch.setattr(migrations, "migrate", _migrate_and_break(migrations.migrate))
    with pytest.raises(ZeroDivisionError):
        open_database(empty_url)
    engine = engine_of(empty_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def _migrate_and_break(migrate):
    def broken(*arguments):
        migrate(*arguments)
        raise ZeroDivisionError

    return broken


def test_a_newer_database_is_refused_and_left_alone(store_url: str) -> None:
    engine = engine_of(store_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE helios_version SET version_num = '9999'"))
    try:
        with pytest.raises(StoreError, match="9999 of the tables is newer") as raised:
            open_database(store_url)
        assert "newest Helios" in raised.value.next_step
        assert set(metadata.tables) < set(inspect(engine).get_table_names())
    finally:
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE helios_version SET version_num = :head"), {"head": migrations.HEAD}
            )
        engine.dispose()


def test_the_head_is_the_newest_script() -> None:
    scripts = ScriptDirectory(migrations.__path__[0])
    assert scripts.get_current_head() == migrations.HEAD


def test_alembic_is_not_loaded_for_a_database_that_is_up_to_date(sqlite_store_url: str) -> None:
    look = (
        "import sys; from helios.stores.sql.database import open_database; "
        f"open_database({sqlite_store_url!r}).shut(); "
        "print([name for name in ('alembic', 'psycopg') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
