"""Databases for tests: SQLite in a fresh file, PostgreSQL from a private server."""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep

import psycopg
import pytest
from hypothesis import settings

from helios.stores.sql.database import open_database
from helios.stores.sql.schema import metadata

# The same examples every time, so that a red test is red again; `--hypothesis-profile explore`
# looks for new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=2_000, print_blob=True)
settings.register_profile("quick", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("repeatable")

SLOW_FOLDERS = frozenset({"cli", "mirrors", "proof", "server"})
"""Tests that start commands and servers, and kill some: left out of `make check`."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW_FOLDERS & set(item.path.parts):
            item.add_marker(pytest.mark.slow)


NO_POSTGRES = "PostgreSQL not found: apt-get install postgresql"


@dataclass(frozen=True)
class PostgresServer:
    """A private server that listens on a socket in its own folder only."""

    folder: Path
    process: subprocess.Popen[bytes]

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


def postgres_binary(name: str) -> str | None:
    """The newest installed server's binary, else one on the PATH."""
    installed = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4])
    )
    return str(installed[-1]) if installed else shutil.which(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for this worker, started once and stopped at the end."""
    initdb, postgres = postgres_binary("initdb"), postgres_binary("postgres")
    if not (initdb and postgres):
        pytest.skip(NO_POSTGRES)
    folder = Path(tempfile.mkdtemp(prefix="helios-pg-"))
    # The server refuses to run as root.
    user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    as_user = user if os.geteuid() == 0 else {}
    if as_user:
        shutil.chown(folder, "postgres", "postgres")
    process = None
    try:
        data = str(folder / "data")
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        made = subprocess.run(
            [initdb, "-D", data, *options], cwd=folder, capture_output=True, check=False, **as_user
        )
        if made.returncode:
            pytest.fail(f"initdb failed: {made.stderr.decode()}")
        log = (folder / "log").open("wb")
        settings = ["listen_addresses=", "fsync=off", "max_connections=200"]
        process = subprocess.Popen(
            [postgres, "-D", data, "-k", str(folder), *(f"-c{s}" for s in settings)],
            cwd=folder,
            stdout=log,
            stderr=log,
            **as_user,
        )
        log.close()
        server = PostgresServer(folder, process)
        _wait_until_ready(server)
        yield server
    finally:
        if process:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(server: PostgresServer) -> None:
    began = perf_counter()
    while True:
        try:
            return server.run("SELECT 1")
        except psycopg.OperationalError:
            if server.process.poll() is not None or perf_counter() - began > 30:
                log = (server.folder / "log").read_text()
                pytest.fail(f"the PostgreSQL server did not start:\n{log}")
        sleep(0.05)


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
