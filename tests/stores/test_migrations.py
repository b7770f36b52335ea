"""The schema's history, up and down, on every database."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text

from helios.errors import StoreError
from helios.stores.sql import engines, migrations
from helios.stores.sql.database import open_database
from helios.stores.sql.schema import metadata


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
