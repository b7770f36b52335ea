"""Measure the ledger against the bare databases under it.

    PYTHONPATH=. python benchmarks/ledger.py

Rates are the best of several runs that alternate with their baseline, so that ratios hold on a
busy machine. "A pair" is a reservation and its end, as is a call that is sent at once: two durable
commits; with mark_sent it is three. The baseline makes the same two commits by the same number of
callers with the same grouping (everything that waits is committed together) and, on SQLite, of the
same rows, but reads nothing and decides nothing; the baseline "alone" makes them one after the
other, each commit by itself.
"""

import asyncio
import itertools
import sqlite3
import statistics
import tempfile
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
from scaling import compare_processes
from sqlalchemy import Connection, TextClause, text
from tests.postgres import NoPostgresError, private_postgres

from helios.domain.budget.ledger import Request
from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import OpensOnUse
from helios.domain.pricing import Tier
from helios.services.ceilings import Ceilings
from helios.services.governor import Governor
from helios.services.plans import load_plan
from helios.stores.open import open_stores
from helios.stores.sql.database import Database, open_database
from helios.stores.sql.ledger import SqlLedger
from helios.stores.sql.verify import SqlAuditor
from helios.telemetry.system_clock import SystemClock

ONE = {Unit.MESSAGES: 1}
RUNS = 5
TOGETHER = 64
BIG = 1_000_000
WARM = 100
"""Calls before the clock starts: until SQLite's log has its full size, each commit makes the file
longer, which costs the disk twice as much."""


def limits(count: int) -> list[Limit]:
    return [
        Limit(f"l{n}", Unit.MESSAGES, 10**9, OpensOnUse(18_000.0), f"w{n}", f"limit {n}")
        for n in range(count)
    ]


async def pair(ledger: SqlLedger, name: str, ceiling: Limit) -> None:
    await ledger.reserve(Request(name, Tier.STANDARD, ONE), [ceiling])
    await ledger.release(name, 1)


async def call(ledger: SqlLedger, name: str, ceiling: Limit) -> None:
    await ledger.reserve(Request(name, Tier.STANDARD, ONE), [ceiling])
    await ledger.mark_sent(name, 1)
    await ledger.settle(name, 1, ONE)


async def send(ledger: SqlLedger, name: str, ceiling: Limit) -> None:
    await ledger.reserve(Request(name, Tier.STANDARD, ONE, sends=True), [ceiling])
    await ledger.settle(name, 1, ONE)


Life = Callable[[SqlLedger, str, Limit], Awaitable[None]]


def rate(url: str, life: Life, callers: int, each: int) -> float:
    """Lives per second by so many callers, over so many independent limits."""

    async def go() -> float:
        database = open_database(url)
        ledger, ceilings, run = SqlLedger(database), limits(1), time.time_ns()

        async def caller(number: int) -> None:
            for n in range(each):
                await life(ledger, f"{run}.{number}.{n}", ceilings[0])

        for n in range(WARM):
            await life(ledger, f"{run}.warm.{n}", ceilings[0])
        start = time.perf_counter()
        await asyncio.gather(*(caller(number) for number in range(callers)))
        span = time.perf_counter() - start
        await database.close()
        return callers * each / span

    return asyncio.run(go())


class Grouped:
    """The least that a store for asyncio can do: one writer that commits all that waits."""

    def __init__(self, commit: Callable[[list[str]], None]) -> None:
        self._commit = commit
        self._waiting: deque[tuple[str, asyncio.Future[None]]] = deque()
        self._writer = ThreadPoolExecutor(1)
        self._lock = threading.Lock()
        self._is_running = False

    async def write(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._waiting.append((name, done))
            must_start, self._is_running = not self._is_running, True
        if must_start:
            self._writer.submit(self._drain, loop)
        await done

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            with self._lock:
                batch = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
                self._is_running = bool(batch)
            if not batch:
                return
            self._commit([name for name, _ in batch])
            loop.call_soon_threadsafe(_finish, [done for _, done in batch])

    def rate(self, callers: int, each: int, commits: int) -> float:
        async def caller(number: int) -> None:
            for n in range(each * commits):
                await self.write(f"{number}.{n // commits}")

        async def go() -> None:
            await asyncio.gather(*(caller(number) for number in range(callers)))

        start = time.perf_counter()
        asyncio.run(go())
        return callers * each / (time.perf_counter() - start)


def _finish(futures: Iterable["asyncio.Future[None]"]) -> None:
    for done in futures:
        done.set_result(None)


RAW_TABLES = """
pragma journal_mode = wal;
pragma synchronous = full;
create table b (id integer primary key, held integer);
insert into b values (1, 0);
create table e (id text primary key, state text, fence integer, lease real, tier text, why text);
create table l (id text, key text, opened real, closes real, estimate integer, charged integer,
    primary key (id, key));
create table v (seq integer primary key, id text, at real, command text, deltas text);
"""


def raw_sqlite(folder: Path) -> Callable[[list[str]], None]:
    """Commits the rows the ledger would write, as durably, without reading or deciding anything."""
    connection = sqlite3.connect(folder / "raw.db", isolation_level=None, check_same_thread=False)
    connection.executescript(RAW_TABLES)
    run, held = itertools.count(), dict[str, str]()

    def commit(names: list[str]) -> None:
        """Every second commit of a name ends what the one before it began."""
        new = [name for name in names if name not in held]
        ends = [(held.pop(name),) for name in names if name in held]
        begins = [(held.setdefault(name, f"{next(run)}.{name}"),) for name in new]
        connection.execute("begin immediate")
        connection.executemany("update e set state = 'released' where id = ?", ends)
        connection.executemany("insert into e values (?, 'held', 1, 2.0, 'standard', '')", begins)
        connection.executemany("insert into l values (?, 'l0', 1.0, 2.0, 1, 0)", begins)
        connection.execute("update b set held = held + ?", (len(names),))
        connection.executemany(
            "insert into v values (null, ?, 1.0, 'reserve', '[{}]')", begins + ends
        )
        connection.execute("commit")

    return commit


def raw_postgres(url: str) -> Callable[[list[str]], None]:
    """Commits an update of one and the same row for each caller."""
    connection = psycopg.connect(url)
    connection.execute("create table if not exists raw_counter as select 0::bigint as n")
    connection.commit()

    def commit(names: list[str]) -> None:
        for _ in names:
            connection.execute("update raw_counter set n = n + 1")
        connection.commit()

    return commit


def compare(what: str, url: str, commit: Callable[[list[str]], None]) -> None:
    """The ledger and its baselines in turns."""
    for callers in (1, 4, 16, 64):
        each = max(3, 1000 // callers) if callers > 1 else 200
        kinds = ("pair", "send", "call", "raw", "alone")
        found: dict[str, list[float]] = {kind: [] for kind in kinds}
        grouped = Grouped(commit)
        for _ in range(RUNS):
            found["pair"].append(rate(url, pair, callers, each))
            found["raw"].append(grouped.rate(callers, each, 2))
            found["alone"].append(alone(commit))
            found["send"].append(rate(url, send, callers, each))
            found["call"].append(rate(url, call, callers, each))
        top = {name: max(rates) for name, rates in found.items()}
        ratios = [a / b for a, b in zip(found["pair"], found["raw"], strict=True)]
        print(
            f"{what} {callers:>2} callers: {top['pair']:6,.0f} pairs/s, "
            f"{top['send']:6,.0f} sent at once/s, {top['call']:6,.0f} with mark_sent/s | "
            f"baseline {top['raw']:6,.0f} grouped "
            f"({top['pair'] / top['raw']:.0%}; median of ratios {statistics.median(ratios):.0%}), "
            f"{top['alone']:6,.0f} alone ({top['pair'] / top['alone']:.0%})",
            flush=True,
        )


def alone(commit: Callable[[list[str]], None], pairs: int = 150) -> float:
    start = time.perf_counter()
    for n in range(2 * pairs):
        commit([f"{n // 2}"])
    return pairs / (time.perf_counter() - start)


def latencies(what: str, url: str, commit: Callable[[list[str]], None], calls: int = 300) -> None:
    """One caller at a time: how long each step takes, and a bare commit handed to a thread."""
    ceilings, grouped = limits(4), Grouped(commit)
    spans: dict[str, list[float]] = {}

    async def timed(step: str, work: Awaitable[Any]) -> None:
        start = time.perf_counter()
        await work
        spans.setdefault(step, []).append((time.perf_counter() - start) * 1e3)

    async def go() -> None:
        database = open_database(url)
        ledger, run = SqlLedger(database), time.time_ns()
        for n in range(calls):
            name = f"{run}.{n}"
            await timed("reserve", ledger.reserve(Request(name, Tier.STANDARD, ONE), ceilings))
            await timed("mark_sent", ledger.mark_sent(name, 1))
            await timed("settle", ledger.settle(name, 1, {Unit.MESSAGES: 0}))
            await timed("balances", ledger.balances(ceilings))
            await timed("(commit)", grouped.write(name))
        await database.close()

    asyncio.run(go())
    for step, taken in spans.items():
        taken.sort()
        p50, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
        print(f"{what} {step:9} unloaded: p50 {p50:.2f} ms, p99 {p99:.2f} ms", flush=True)


NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {last}) "
FILLS = (
    ("ledger_windows", 99, "'big', 18000.0 * i, 18000.0 * (i + 1)"),
    (
        "ledger_balances (limit_key, opened_at, window_key, label, unit, cap, spent, held, breach)",
        99,
        "'big', 18000.0 * i, 'big', 'l', 'messages', 1000000000, 10000, 0, 0",
    ),
    ("ledger_entries", BIG - 1, "'r' || i, 'settled', 1, 18000.0 * (i % 100), 'standard', ''"),
    (
        "ledger_lines",
        BIG - 1,
        "'r' || i, 'big', 18000.0 * (i % 100), 18000.0 * (i % 100 + 1), 1, 1",
    ),
    (
        "ledger_events (request_id, at, command, from_state, to_state, fence, deltas)",
        BIG - 1,
        "'r' || i, i, 'settle', 'sent', 'settled', 1, '[]'",
    ),
)


def fill(database: Database) -> None:
    """A million settled entries in a hundred windows."""
    for table, last, columns in FILLS:
        numbers = NUMBERS.format(last=last)
        statement = text(f"INSERT INTO {table} {numbers} SELECT {columns} FROM n")

        def insert(connection: Connection, statement: TextClause = statement) -> None:
            connection.execute(statement)

        asyncio.run(database.write(insert))


def big(what: str, url: str) -> None:
    """A ledger of a million entries: opening, looking and adding it all up."""
    ceiling = Limit("big", Unit.MESSAGES, 10**9, OpensOnUse(18_000.0), "big", "l")
    database = open_database(url)
    start = time.perf_counter()
    fill(database)
    filled_s = time.perf_counter() - start
    database.shut()
    start = time.perf_counter()
    database = open_database(url)
    asyncio.run(SqlLedger(database).balances([ceiling]))
    windows = asyncio.run(SqlLedger(database).history(ceiling.key))
    opened_s = time.perf_counter() - start
    start = time.perf_counter()
    wrong = asyncio.run(SqlAuditor(database).verify()).mismatches
    verified_s = time.perf_counter() - start
    database.shut()
    assert [window.spent for window in windows] == [BIG // 100] * 24
    assert wrong == ()
    print(
        f"{what} {BIG:,} entries (filled in {filled_s:.0f} s): opened in {opened_s:.2f} s,"
        f" added up in {verified_s:.2f} s",
        flush=True,
    )


def memory(url: str) -> None:
    """What a governor in use adds to a process that has everything imported."""

    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

    async def go() -> float:
        before = resident_mb()
        clock = SystemClock()
        stores = open_stores(url, clock)
        governor = Governor(stores.ledger, Ceilings(load_plan("max-classic")), clock, stores.budget)
        for n in range(500):
            name = f"memory.{n}"
            request = Request(name, Tier.STANDARD, ONE, priority=10)
            await governor.request(request, governor.ceilings.of_plan)
            await stores.ledger.release(name, 1)
            await governor.status()
        after = resident_mb()
        await stores.close()
        return after - before

    print(f"governor: {asyncio.run(go()):.1f} MB more after 500 requests", flush=True)


def main() -> None:
    """Run all and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commit = raw_sqlite(folder)
        compare("SQLite", f"sqlite:///{folder}/rates.db", commit)
        latencies("SQLite", f"sqlite:///{folder}/latency.db", commit)
        big("SQLite", f"sqlite:///{folder}/big.db")
        memory(f"sqlite:///{folder}/memory.db")
    try:
        with private_postgres(durable=True) as server:
            for step in (compare, latencies, big):
                server.run(f"CREATE DATABASE {step.__name__}")
                url = server.url(step.__name__)
                arguments = (raw_postgres(url),) if step is not big else ()
                step("PostgreSQL", url, *arguments)
            server.run("CREATE DATABASE scaling")
            compare_processes(server.url("scaling"))
    except NoPostgresError as error:
        print(f"PostgreSQL was not measured: {error}")


if __name__ == "__main__":
    main()
