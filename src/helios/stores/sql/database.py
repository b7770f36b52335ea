"""Transactions: short functions of a connection, run in threads of their own.

A driver that hops between threads at every statement is slow, so a whole transaction is one hop.
SQLite has one writer at a time: what waits for it together is committed together, with one wait
for the disk. Work must therefore be repeatable: it answers with values and changes nothing but
the database.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from helios.errors import StoreError
from helios.stores.sql import engines, migrations
from helios.stores.sql.faults import Cure, Fault, understand

T = TypeVar("T")
Work = Callable[[Connection], T]

COMMITTED_TOGETHER = 64

_REPEATS = 30


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait before giving up, in seconds.

    `server_s` is for a server that is away, `writers_s` for other processes that are writing.
    """

    server_s: float = 5.0
    writers_s: float = 20.0


PATIENCE = Patience()


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    repeatable: bool
    done: "Future[Any]" = field(default_factory=Future)


class Database:
    """One database, open. Use `open_database` to get one.

    Attributes:
        url: the address without its password.
        locks_rows: whether transactions run side by side and must lock the rows they decide on.
    """

    def __init__(self, engine: Engine, patience: Patience) -> None:
        self.url = engines.shown(engine.url)
        self.locks_rows = engine.dialect.name == "postgresql"
        self._engine = engine
        self._patience = patience
        self._waiting: deque[_Job] = deque()
        if self.locks_rows:
            self._writers = self._readers = ThreadPoolExecutor(
                engines.POSTGRES_CONNECTIONS, "helios-sql"
            )
        else:
            self._writers = ThreadPoolExecutor(engines.SQLITE_WRITERS, "helios-sql-write")
            self._readers = ThreadPoolExecutor(engines.SQLITE_READERS, "helios-sql-read")

    async def read(self, work: Work[T]) -> T:
        """Run a function that only reads, in one transaction.

        Raises:
            StoreError: the database cannot be used.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._persist, lambda: self._read(work))

    async def write(self, work: Work[T], *, repeatable: bool = True) -> T:
        """Run a function in one durable transaction; once asked for it runs, cancelled or not.

        Args:
            work: may run more than once, of which one is kept; answers with values only.
            repeatable: whether doing it twice is the same as once, so that it may be tried again
                when the connection breaks in the very commit.

        Raises:
            StoreError: the database cannot be used; nothing was stored, unless the connection
                broke in the very commit, when nobody can know.
        """
        job = _Job(work, repeatable)
        self._waiting.append(job)
        self._writers.submit(self._drain)
        answer: T = await asyncio.shield(asyncio.wrap_future(job.done))
        return answer

    async def close(self) -> None:
        """Finish what was asked for and let go of every connection."""
        await asyncio.to_thread(self.shut)

    def shut(self) -> None:
        """The same as `close`, for those without an event loop."""
        self._writers.shutdown()
        self._readers.shutdown()
        self._engine.dispose()

    def prepare(self) -> None:
        """Bring the tables up to date.

        Raises:
            StoreError: the database cannot be used, or is newer than this program.
        """
        self._persist(lambda: migrations.bring_up_to_date(self._engine, self.url))

    def _read(self, work: Work[T]) -> T:
        with self._engine.connect() as connection, engines.begin(connection):
            return work(connection)

    def _drain(self) -> None:
        most = 1 if self.locks_rows else COMMITTED_TOGETHER
        batch: list[_Job] = []
        with contextlib.suppress(IndexError):
            while len(batch) < most:
                batch.append(self._waiting.popleft())
        if batch:
            self._commit(batch)

    def _commit(self, batch: list[_Job]) -> None:
        try:
            answers = self._persist(lambda: self._transact(batch))
        except BaseException as error:
            if len(batch) > 1 and not _concerns_all(error):
                # One of them failed and took the others along: each gets its own transaction.
                for job in batch:
                    self._commit([job])
                return
            for job in batch:
                job.done.set_exception(error)
            return
        for job, answer in zip(batch, answers, strict=True):
            job.done.set_result(answer)

    def _transact(self, batch: list[_Job]) -> list[Any]:
        with self._engine.connect() as connection:
            # Whatever goes wrong before the commit, closing the connection rolls back.
            transaction = engines.begin(connection, to_write=True)
            answers = [job.work(connection) for job in batch]
            try:
                transaction.commit()
            except DBAPIError as error:
                lost = understand(error).cure is Cure.RECONNECT
                if lost and not all(job.repeatable for job in batch):
                    raise StoreError(
                        f"{self.url}: the connection broke in the commit",
                        next_step="Look whether it was stored before doing it again.",
                    ) from error
                raise
            return answers

    def _persist(self, attempt: Callable[[], T]) -> T:
        """Try until it works, or until waiting longer is no help."""
        began, tries = time.perf_counter(), 0
        while True:
            try:
                return attempt()
            except DBAPIError as error:
                fault = understand(error)
                tries += 1
                delay = self._delay_s(fault, tries, time.perf_counter() - began)
                if delay is None:
                    raise fault.error(self.url) from error
            time.sleep(delay)

    def _delay_s(self, fault: Fault, tries: int, waited_s: float) -> float | None:
        """How long until the next attempt; None means give up."""
        match fault.cure:
            case Cure.WAIT:
                return 0.0 if waited_s < self._patience.writers_s else None
            case Cure.REPEAT:
                return 0.001 * tries if tries < _REPEATS else None
            case Cure.RECONNECT:
                delay = min(0.05 * 2 ** (tries - 1), 1.0)
                return delay if waited_s + delay <= self._patience.server_s else None
            case Cure.NONE:
                return None


def _concerns_all(error: BaseException) -> bool:
    """Whether the database was not to be had at all, whoever asked."""
    cause = error.__cause__
    return isinstance(cause, DBAPIError) and understand(cause).cure in (Cure.WAIT, Cure.RECONNECT)


def open_database(url: str, *, durable: bool = True, patience: Patience = PATIENCE) -> Database:
    """Open a database and bring its tables up to date.

    Args:
        url: `sqlite:///path` or `postgresql://user@host/name`.
        durable: False lets SQLite commit without waiting for the disk; for tests only.
        patience: how long to wait for what may come back.

    Raises:
        UsageError: the address is not one of these.
        StoreError: the database cannot be used, or is newer than this program.
    """
    engine = engines.create(engines.parse(url), durable=durable)
    database = Database(engine, patience)
    try:
        database.prepare()
    except BaseException:
        database.shut()
        raise
    return database
