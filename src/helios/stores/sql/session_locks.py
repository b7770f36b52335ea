"""Locks of projects in a PostgreSQL server: advisory, held by a session of their own.

The server frees them as soon as the session ends: at once when its process is killed, after the
keep-alive of its connection when its machine is gone.
"""

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from helios.domain.ids import ProjectId
from helios.errors import ConflictError, StoreError
from helios.ports.locks import Hold
from helios.stores.sql.database import Database
from helios.stores.sql.faults import understand

_T = TypeVar("_T")
log = structlog.get_logger("helios.system")

TRIES, PAUSE_S = 10, 0.05
"""How long a server may take to notice that the holder before us has died."""
PATIENCE_S = 15.0
"""How long an answer may take before the connection counts as lost."""

_KEEP_ALIVE = (
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
)
_TAKE = "SELECT pg_try_advisory_lock(%(key)s)"
_FREE = "SELECT pg_advisory_unlock(%(key)s)"
_NAME = "SELECT set_config('application_name', %(name)s, false)"
_HOLDER = """
SELECT a.application_name
FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid = ((%(key)s::bigint >> 32) & 4294967295)::oid
  AND l.objid = (%(key)s::bigint & 4294967295)::oid
"""


class SessionLocks:
    """The locks of one database on a server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def hold(self, project: ProjectId, path: str) -> AsyncIterator[Hold]:
        """See the port."""
        held = _Session(self._database, _key(project), path)
        try:
            await held.take()
            yield held
        finally:
            await held.close()

    async def is_held(self, project: ProjectId) -> bool:
        """See the port."""
        asked = {"key": _key(project)}
        found = await self._database.read(
            lambda connection: connection.exec_driver_sql(_HOLDER, asked).all()
        )
        return bool(found)


class _Session:
    """A lock and the session that holds it, on a thread of their own."""

    def __init__(self, database: Database, key: int, path: str) -> None:
        self._database = database
        self._key = {"key": key}
        self._path = path
        self._thread = ThreadPoolExecutor(1, "helios-lock")
        self._session: Connection | None = None

    async def take(self) -> None:
        """Take the lock in a session of its own.

        Raises:
            ConflictError: somebody else has it.
            StoreError: the server does not answer.
        """
        for _ in range(TRIES):
            if await self._run(self._try):
                return
            await asyncio.sleep(PAUSE_S)
        raise ConflictError(
            f"{self._path} is already being run by {await self._run(self._holder)}",
            next_step="Watch it with `helios status`, or stop it with `helios cancel`.",
        )

    async def confirm(self) -> None:
        """See the port; a session that was lost is replaced."""
        if not await self._run(self._is_alive):
            log.warning("lock lost with its connection", path=self._path)
            await self.take()

    async def close(self) -> None:
        """Let go."""
        try:
            await self._run(self._free)
        except StoreError as error:
            log.warning("lock not let go of", path=self._path, error=error.message)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], _T]) -> _T:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except TimeoutError:
            raise StoreError(
                f"{self._database.url}: the server does not answer",
                next_step="Mend the connection, then run the same command again.",
            ) from None
        except DBAPIError as error:
            raise understand(error).error(self._database.url) from error

    def _open(self) -> Connection:
        if self._session is None:
            self._session = self._database.session()
            name = f"helios {os.getpid()} on {socket.gethostname()}"[:63]
            self._session.exec_driver_sql(_NAME, {"name": name})
            for setting in _KEEP_ALIVE:
                self._session.exec_driver_sql(setting)
        return self._session

    def _try(self) -> bool:
        return bool(self._open().exec_driver_sql(_TAKE, self._key).scalar())

    def _holder(self) -> str:
        name = str(self._open().exec_driver_sql(_HOLDER, self._key).scalar() or "")
        return f"process {name.removeprefix('helios ')}" if name else "another process"

    def _is_alive(self) -> bool:
        if self._session is None:
            return False
        try:
            self._session.exec_driver_sql("SELECT 1")
        except DBAPIError:
            self._drop()
            return False
        return True

    def _free(self) -> None:
        try:
            if self._session is not None:
                self._session.exec_driver_sql(_FREE, self._key)
        finally:
            self._drop()

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


def _key(project: ProjectId) -> int:
    """A lock's number, the same on every machine."""
    digest = hashlib.sha256(f"helios drives {project}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
