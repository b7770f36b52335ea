"""Waiting for room: who waits in this process, and how they hear of what happens elsewhere.

Callers of one process are woken by the commit itself. Other processes are heard through LISTEN on
PostgreSQL; on SQLite, which calls nobody, one thread looks at the file's version number while
somebody waits.
"""

import asyncio
import contextlib
import secrets
import selectors
import socket
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from helios.stores.sql import ledger_statements as sql

LOOK_EVERY_S = 0.05
RECONNECT_AFTER_S = 1.0

Bell = asyncio.Future[bool]
"""Done at the next ring; its result says whether room was made for sure, or one has to look."""


class Room:
    """The bell of one database, and who waits for it.

    Attributes:
        rung: how often it rang for sure; it only grows.
        sender: tells this process's own messages from those of others.
    """

    def __init__(self) -> None:
        self.rung = 0
        self.sender = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._waiting: set[Bell] = set()

    def ring(self, *, is_sure: bool = True) -> None:
        """Wake everybody; from any thread."""
        with self._lock:
            self.rung += is_sure
            waiting, self._waiting = self._waiting, set()
        for bell in waiting:
            # Nobody waits any more in a loop that is closed.
            with contextlib.suppress(RuntimeError):
                bell.get_loop().call_soon_threadsafe(_set, bell, is_sure)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[Bell]:
        """Something to await; leaving forgets it."""
        bell: Bell = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting.add(bell)
        self._watch()
        try:
            yield bell
        finally:
            with self._lock:
                self._waiting.discard(bell)
            bell.cancel()

    @property
    def is_anybody_waiting(self) -> bool:
        """Whether somebody waits for the next ring."""
        with self._lock:
            return bool(self._waiting)

    def open(self) -> None:
        """From now on miss nothing that other processes tell."""

    def close(self) -> None:
        """Listen no more."""

    def _watch(self) -> None:
        """Somebody has begun to wait."""


class FileRoom(Room):
    """Looks whether another process has written to a SQLite file, only while somebody waits."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._turn = threading.Lock()
        self._watcher: threading.Thread | None = None
        self._stop = threading.Event()

    def close(self) -> None:
        """Listen no more."""
        self._stop.set()
        with self._turn:
            watcher = self._watcher
        if watcher:
            watcher.join()

    def _watch(self) -> None:
        with self._turn:
            if self._watcher is None and not self._stop.is_set():
                self._watcher = threading.Thread(
                    target=self._look, name="helios-sql-watch", daemon=True
                )
                self._watcher.start()

    def _look(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        with contextlib.closing(connection):
            version, seen = -1, -1
            while not self._is_over():
                with contextlib.suppress(sqlite3.Error):
                    # A file that is locked for a moment is looked at again.
                    version, seen = self._look_once(connection, version, seen)
                self._stop.wait(LOOK_EVERY_S)

    def _look_once(
        self, connection: sqlite3.Connection, version: int, seen: int
    ) -> tuple[int, int]:
        (now,) = connection.execute("PRAGMA data_version").fetchone()
        if now == version:
            return version, seen
        newest, frees = connection.execute(sql.NEWS_ON_SQLITE, (seen,)).fetchone()
        # What happened before the first look only who waits can tell.
        if seen < 0 or frees:
            self.ring(is_sure=seen >= 0)
        return now, newest

    def _is_over(self) -> bool:
        """Whether nobody waits any more; who comes later starts another watcher."""
        with self._turn:
            if self._stop.is_set() or not self.is_anybody_waiting:
                self._watcher = None
                return True
            return False


class ServerRoom(Room):
    """Listens to what other processes tell through a PostgreSQL server."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._turn = threading.Lock()
        self._listener: threading.Thread | None = None
        self._is_closed = threading.Event()
        self._wake, self._woken = socket.socketpair()

    def open(self) -> None:
        """From now on miss nothing that other processes tell.

        Raises:
            sqlalchemy.exc.DBAPIError: the server cannot be reached.
        """
        with self._turn:
            if self._listener is None and not self._is_closed.is_set():
                connection = self._connect()
                self._listener = threading.Thread(
                    target=self._listen, args=(connection,), name="helios-sql-listen", daemon=True
                )
                self._listener.start()

    def close(self) -> None:
        """Listen no more."""
        self._is_closed.set()
        self._wake.close()
        with self._turn:
            listener = self._listener
        if listener:
            listener.join()
        self._woken.close()

    def _connect(self) -> Any:
        fairy = self._engine.raw_connection()
        fairy.detach()
        connection: Any = fairy.dbapi_connection
        connection.autocommit = True
        connection.execute(f"LISTEN {sql.CHANNEL}")
        return connection

    def _listen(self, connection: Any) -> None:
        dbapi: Any = self._engine.dialect.loaded_dbapi
        while not self._is_closed.is_set():
            try:
                with contextlib.closing(connection or self._connect()) as connected:
                    if connection is None:
                        # What was told while nobody listened is lost: they have to look.
                        self.ring()
                    self._hear(connected.pgconn)
            except (dbapi.Error, DBAPIError):
                self._is_closed.wait(RECONNECT_AFTER_S)
            connection = None

    def _hear(self, pgconn: Any) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(pgconn.socket, selectors.EVENT_READ)
            ready.register(self._woken, selectors.EVENT_READ)
            while not self._is_closed.is_set():
                pgconn.consume_input()
                senders = set()
                while told := pgconn.notifies():
                    senders.add(told.extra.decode())
                if senders - {self.sender}:
                    self.ring()
                ready.select()


def _set(bell: Bell, is_sure: bool) -> None:
    if not bell.done():
        bell.set_result(is_sure)
