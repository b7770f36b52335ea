"""Connections: an engine by URL, set up so that a commit is durable and writers queue."""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, RootTransaction, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from helios.errors import StoreError, UsageError
from helios.stores.sql.encoding import to_json
from helios.stores.sql.quick import Quick

SQLITE_WRITERS = 1
SQLITE_READERS = 3
POSTGRES_CONNECTIONS = 8
POSTGRES_WRITERS = 4

_BUSY_TIMEOUT_S = 0.02
"""SQLite's own waiting starts with short naps that soon grow to 100 ms, which starves a process
among busy ones; so it gives up early and the database's loop starts it again."""

_POSTGRES = {"connect_timeout": 5, "application_name": "helios"}


def parse(url: str) -> URL:
    """A database address.

    Raises:
        UsageError: it cannot be understood or is of a kind not known here.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise UsageError(
            "this is not a database address",
            next_step="Give sqlite:///path/to/file or postgresql://user@host/name.",
        ) from error
    kind = parsed.get_backend_name()
    if kind == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise UsageError(
            "a database in memory cannot be shared or survive",
            next_step="Give a file: sqlite:///path/to/file.",
        )
    if kind not in ("sqlite", "postgresql"):
        raise UsageError(
            f"no store for {parsed.drivername!r}",
            next_step="Give sqlite:///path/to/file or postgresql://user@host/name.",
        )
    return parsed.set(drivername={"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}[kind])


def shown(url: URL) -> str:
    """The address without its password."""
    hidden = {key: "hidden" for key in url.query if "password" in key.lower()}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def create(url: URL, *, durable: bool = True) -> Engine:
    """An engine; connects to nothing yet.

    Args:
        url: a parsed address.
        durable: False lets SQLite commit without waiting for the disk; for tests only.

    Raises:
        StoreError: the file's directory cannot be made.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, "FULL" if durable else "OFF")
    return _postgresql(url)


def _postgresql(url: URL) -> Engine:
    engine = create_engine(
        url,
        isolation_level="READ COMMITTED",
        json_serializer=to_json,
        pool_size=POSTGRES_CONNECTIONS,
        connect_args={key: value for key, value in _POSTGRES.items() if key not in url.query},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # Every query finds its rows by key; planning it anew costs more than running it. A plan
        # made while the tables are small would read them whole, and be kept while they grow.
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute("SET enable_seqscan = off")
        # What cannot do without reading a table whole is now thought dear enough to be compiled.
        connection.execute("SET jit = off")
        connection.commit()

    return engine


def begin(connection: Connection, *, to_write: bool = False) -> RootTransaction:
    """Start a transaction; leaving the connection without a commit undoes it.

    Args:
        connection: of an engine made here.
        to_write: whether to wait for the right to write at once. A transaction of SQLite's that
            reads first and writes later fails when another wrote between.
    """
    transaction = connection.begin()
    if connection.dialect.name == "sqlite":
        Quick(connection).command("BEGIN IMMEDIATE" if to_write else "BEGIN")
    return transaction


def _sqlite(url: URL, synchronous: str) -> Engine:
    _make_file(Path(url.database or ""), shown(url))
    engine = create_engine(
        url,
        json_serializer=to_json,
        pool_size=SQLITE_WRITERS + SQLITE_READERS,
        connect_args={"timeout": _BUSY_TIMEOUT_S, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def _make_file(path: Path, place: str) -> None:
    """The file holds prompts and answers: nobody else may read it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{place}: cannot be opened: {error.strerror}",
            next_step="Check that the directory exists and that you may write to it.",
        ) from error
