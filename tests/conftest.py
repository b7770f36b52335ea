"""Databases for tests: SQLite in a fresh file, PostgreSQL from a private server."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from helios.stores.sql.database import open_database
from helios.stores.sql.schema import metadata
from tests.postgres import NO_POSTGRES, PostgresServer, postgres_binary, private_postgres

# The same examples every time, so that a red test is red again; `--hypothesis-profile explore`
# looks for new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=2_000, print_blob=True)
settings.register_profile("quick", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("repeatable")

SLOW_FOLDERS = frozenset({"cli", "clients", "mirrors", "proof", "server"})
"""Tests that start commands and servers, and kill some: left out of `make check`."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folders = set(item.path.parts)
        if SLOW_FOLDERS & folders or ("gateway" in folders and "domain" not in folders):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for this worker, started once and stopped at the end."""
    if not (postgres_binary("initdb") and postgres_binary("postgres")):
        pytest.skip(NO_POSTGRES)
    with private_postgres(durable=False) as server:
        yield server


_numbers = itertools.count(1)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of an empty database."""
    name = f"test{next(_numbers)}"
    postgres_server.run(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    postgres_server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_with_tables(postgres_server: PostgresServer) -> str:
    """A database for this worker's tests, because making one takes a while."""
    postgres_server.run("CREATE DATABASE with_tables")
    url = postgres_server.url("with_tables")
    open_database(url).shut()
    return url


@pytest.fixture
def postgres_store_url(postgres_with_tables: str) -> str:
    """The address of a database with empty tables."""
    tables = ", ".join(metadata.tables)
    with psycopg.connect(postgres_with_tables) as connection:
        connection.execute(f"TRUNCATE {tables} RESTART IDENTITY")
        connection.execute("INSERT INTO ledger_clock (id, latest) VALUES (1, 0)")
    return postgres_with_tables


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The address of a database that does not exist yet."""
    return f"sqlite:///{tmp_path}/한글 이름.db"


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with empty tables, to copy."""
    file = tmp_path_factory.mktemp("sqlite") / "tables.db"
    open_database(f"sqlite:///{file}").shut()
    return file


@pytest.fixture
def sqlite_store_url(sqlite_url: str, sqlite_with_tables: Path) -> str:
    """The address of a database with empty tables."""
    shutil.copy(sqlite_with_tables, sqlite_url.removeprefix("sqlite:///"))
    return sqlite_url


KINDS = [
    pytest.param("sqlite"),
    pytest.param("postgres", marks=pytest.mark.postgres),
]


@pytest.fixture(params=KINDS)
def empty_url(request: pytest.FixtureRequest) -> str:
    """An empty database; the test runs on each kind."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(params=KINDS)
def store_url(request: pytest.FixtureRequest) -> str:
    """A database with empty tables; the test runs on each kind."""
    return request.getfixturevalue(f"{request.param}_store_url")
