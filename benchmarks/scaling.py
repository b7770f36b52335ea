"""Measure processes that share a PostgreSQL ledger, on one limit and on a limit each.

`benchmarks/ledger.py` calls it; run as a program it is one of the processes. A pair is a
reservation and its release: two durable commits. The figure is the sum over processes.
"""

import asyncio
import subprocess
import sys
import time

from helios.domain.budget.ledger import Request
from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import OpensOnUse
from helios.domain.pricing import Tier
from helios.stores.sql.database import open_database
from helios.stores.sql.ledger import SqlLedger

CALLERS, EACH = 32, 40
FIVE_HOURS_S = 18_000.0


async def spend(url: str, key: str, who: str) -> None:
    """Reserve and release from many callers at once; print the pairs a second."""
    database = open_database(url)
    ledger = SqlLedger(database)
    limits = [Limit(key, Unit.MESSAGES, 10**9, OpensOnUse(FIVE_HOURS_S), key, key)]

    async def caller(number: int) -> None:
        for n in range(EACH):
            name = f"{who}.{number}.{n}.{time.time_ns()}"
            admission = await ledger.reserve(
                Request(name, Tier.STANDARD, {Unit.MESSAGES: 1}), limits
            )
            assert admission.entry is not None
            await ledger.release(name, admission.entry.fence)

    await caller(CALLERS)
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(CALLERS)))
    print(CALLERS * EACH / (time.perf_counter() - start), flush=True)
    await database.close()


def together(url: str, keys: list[str]) -> float:
    """The sum of the rates of one process a key."""
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, url, key, f"p{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, key in enumerate(keys)
    ]
    told = [process.stdout for process in processes if process.stdout]
    for lines in told:
        lines.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    rates = [float(lines.readline()) for lines in told]
    for process in processes:
        process.wait()
    return sum(rates)


def compare_processes(url: str) -> None:
    """Compare one limit with a limit each, for 1, 2 and 4 processes."""
    for count in (1, 2, 4):
        shared = together(url, ["one"] * count)
        own = together(url, [f"own{number}" for number in range(count)])
        print(
            f"{count} processes: {shared:,.0f} pairs/s on one limit, {own:,.0f} on a limit each"
            f" ({own / shared:.2f} times as many)",
            flush=True,
        )


if __name__ == "__main__":
    asyncio.run(spend(*sys.argv[1:]))
