"""Transactions: short functions of a connection, run in threads of their own.

A driver that hops between threads at every statement is slow, so a whole transaction is one hop.
SQLite has one writer at a time: what waits for it together is committed together, with one wait
for the disk. Work must therefore be repeatable: it answers with values and changes nothing but
the database.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from helios.errors import StoreError
from helios.stores.sql import engines, migrations
from helios.stores.sql.faults import Cure, Fault, understand
from helios.stores.sql.groups import Each, Group
from helios.stores.sql.room import FileRoom, Room, ServerRoom

T = TypeVar("T")
Work = Callable[[Connection], T]

LEAST_PATIENT = 8
PATIENT_SHARE = 2
"""How many patient jobs go with those that are not, at least and for each of them."""
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
AT_THE_END = Patience(server_s=1.0, writers_s=1.0)
"""For what is still waiting when the database is closed: nobody hears of it any more."""


@dataclass(frozen=True, slots=True)
class _Job:
    group: Group
    asked: Any
    repeatable: bool
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[Any]"


_Outcome = tuple[_Job, Any, BaseException | None]
"""What became of a job: its answer, or its error."""


class Database:
    """One database, open. Use `open_database` to get one.

    Attributes:
        url: the address without its password.
        room: who waits until something is freed.
        locks_rows: whether transactions run side by side and must lock the rows they decide on.
        file: where it lies, however it is reached; None on a server.
    """

    def __init__(self, engine: Engine, patience: Patience) -> None:
        self.url = engines.shown(engine.url)
        self.locks_rows = engine.dialect.name == "postgresql"
        self.file = None if self.locks_rows else Path(engine.url.database or "").resolve()
        self._engine = engine
        self._patience = patience
        self._waiting: deque[_Job] = deque()
        self._patient: deque[_Job] = deque()
        self._turn = threading.Lock()
        self._drains = 0
        self._idle: list[Connection] = []
        self._each = Each()
        self.room: Room
        if self.locks_rows:
            self.room = ServerRoom(engine)
            self._most_drains = engines.POSTGRES_WRITERS
            self._writers = self._readers = ThreadPoolExecutor(
                engines.POSTGRES_CONNECTIONS, "helios-sql"
            )
        else:
            self._most_drains = engines.SQLITE_WRITERS
            self.room = FileRoom(engine.url.database or "")
            self._writers = ThreadPoolExecutor(engines.SQLITE_WRITERS, "helios-sql-write")
            self._readers = ThreadPoolExecutor(engines.SQLITE_READERS, "helios-sql-read")

    async def read(self, work: Work[T]) -> T:
        """Run a function that only reads, in one transaction.

        Raises:
            StoreError: the database cannot be used.
        """
        return await self._beside(lambda: self._read(work))

    async def write(self, work: Work[T], *, repeatable: bool = True, patient: bool = False) -> T:
        """Run a function in one durable transaction; once asked for it runs, cancelled or not.

        Args:
            work: may run more than once, of which one is kept; answers with values only.
            repeatable: whether doing it twice is the same as once, so that it may be tried again
                when the connection breaks in the very commit.
            patient: others may go first, because nobody is kept waiting by it.

        Raises:
            StoreError: the database cannot be used; nothing was stored, unless the connection
                broke in the very commit, when nobody can know.
        """
        answer: T = await self.ask(self._each, work, repeatable=repeatable, patient=patient)
        return answer

    def ask(
        self, group: Group, asked: Any, *, repeatable: bool = True, patient: bool = False
    ) -> "asyncio.Future[Any]":
        """The same for work that is done for several callers at once: its answer to come.

        Raises:
            StoreError: (when awaited) the database cannot be used.
        """
        loop = asyncio.get_running_loop()
        job = _Job(group, asked, repeatable, loop, loop.create_future())
        # A server takes several at a time, so that there nobody goes first.
        line = self._patient if patient and not self.locks_rows else self._waiting
        with self._turn:
            line.append(job)
            must_start = self._drains < self._most_drains
            self._drains += must_start
        if must_start:
            try:
                self._writers.submit(self._drain)
            except RuntimeError:
                self._refuse_waiting()
        return job.done

    async def listen(self) -> None:
        """From now on let `room` hear of other processes.

        Raises:
            StoreError: the database cannot be used.
        """
        await self._beside(self.room.open)

    def session(self) -> Connection:
        """A connection of its own, outside every transaction, that the caller closes.

        Raises:
            StoreError: the database cannot be used.
        """
        connection = self._persist(self._engine.connect)
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()
        return connection

    async def close(self) -> None:
        """Finish what was asked for, as far as it takes no waiting, and let go of every connection.

        A server that neither answers nor hangs up keeps it waiting.
        """
        await asyncio.to_thread(self.shut)

    def shut(self) -> None:
        """The same as `close`, for those without an event loop."""
        self._patience = AT_THE_END
        self.room.close()
        self._writers.shutdown()
        self._readers.shutdown()
        self._close_idle()
        self._engine.dispose()

    def prepare(self) -> None:
        """Bring the tables up to date.

        Raises:
            StoreError: the database cannot be used, or is newer than this program.
        """
        self._persist(lambda: migrations.bring_up_to_date(self._engine, self.url))

    def _beside(self, attempt: Callable[[], T]) -> "asyncio.Future[T]":
        loop = asyncio.get_running_loop()
        try:
            return loop.run_in_executor(self._readers, self._persist, attempt)
        except RuntimeError as error:
            raise self._is_shut() from error

    def _read(self, work: Work[T]) -> T:
        with self._connected() as connection, engines.begin(connection):
            return work(connection)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection for one transaction, kept for the next unless something goes wrong.

        Handing it back to the engine's pool and taking it out again costs as much as the ledger's
        own work. Closing undoes whatever is not committed.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._engine.connect()
        try:
            yield connection
        except BaseException:
            if connection.invalidated:
                self._close_idle(cut=True)
            connection.close()
            raise
        self._idle.append(connection)

    def _close_idle(self, *, cut: bool = False) -> None:
        """Let go of the kept connections; `cut` says that the server has ended them."""
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if cut:
                    connection.invalidate()
                connection.close()

    def _drain(self) -> None:
        batch = self._next_batch()
        while batch:
            outcomes = self._commit(batch)
            batch = self._next_batch()
            # The last thing to do: who wakes up needs this thread to be out of the way.
            for loop, found in groupby(outcomes, key=lambda outcome: outcome[0].loop):
                _tell(loop, list(found))

    def _refuse_waiting(self) -> None:
        """Nobody can be set to work any more; a thread that still drains sees to who waits."""
        refused: list[_Job] = []
        with self._turn:
            self._drains -= 1
            if not self._drains:
                refused = [*self._waiting, *self._patient]
                self._waiting.clear()
                self._patient.clear()
        for job in refused:
            _tell(job.loop, [(job, None, self._is_shut())])

    def _is_shut(self) -> StoreError:
        return StoreError(
            f"{self.url} is closed: Helios is stopping",
            next_step="Ask again once Helios has been started anew.",
        )

    def _next_batch(self) -> list[_Job]:
        """What is committed together: anything on SQLite, else one group, which locks in order."""
        batch: list[_Job] = []
        with self._turn:
            while self._waiting and self._may_join(self._waiting[0], batch):
                batch.append(self._waiting.popleft())
            # Never so many that who waits for this commit, or the next, waits much longer.
            room = max(LEAST_PATIENT, PATIENT_SHARE * len(batch))
            while self._patient and room > 0:
                batch.append(self._patient.popleft())
                room -= 1
            self._drains -= not batch
        return batch

    def _may_join(self, job: _Job, batch: Sequence[_Job]) -> bool:
        if not batch:
            return True
        if not self.locks_rows:
            return len(batch) < COMMITTED_TOGETHER
        return job.group is batch[0].group and len(batch) < job.group.most

    def _commit(self, batch: Sequence[_Job]) -> list[_Outcome]:
        try:
            answers = self._persist(lambda: self._transact(batch))
        except BaseException as error:
            if len(batch) > 1 and not _concerns_all(error):
                # One of them failed and took the others along: each gets its own transaction.
                return [outcome for job in batch for outcome in self._commit([job])]
            return [(job, None, error) for job in batch]
        return [(job, answer, None) for job, answer in zip(batch, answers, strict=True)]

    def _transact(self, batch: Sequence[_Job]) -> list[Any]:
        runs = [(group, list(jobs)) for group, jobs in groupby(batch, key=lambda job: job.group)]
        with self._connected() as connection:
            # Whatever goes wrong before the commit, closing the connection rolls back.
            transaction = engines.begin(connection, to_write=True)
            answered = [
                (group, group.transact(connection, [job.asked for job in jobs]))
                for group, jobs in runs
            ]
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
        for group, answers in answered:
            group.committed(answers)
        return [answer for _, answers in answered for answer in answers]

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


def _tell(loop: asyncio.AbstractEventLoop, outcomes: list[_Outcome]) -> None:
    """Wake all who wait in this loop with one call; nobody waits in a loop that is closed."""
    try:
        loop.call_soon_threadsafe(_resolve, outcomes)
    except RuntimeError:
        if not loop.is_closed():
            raise


def _resolve(outcomes: list[_Outcome]) -> None:
    for job, answer, error in outcomes:
        if job.done.done():
            continue
        if error:
            job.done.set_exception(error)
        else:
            job.done.set_result(answer)


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
