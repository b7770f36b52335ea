"""Measure the hot paths. Each figure is a ratio to a baseline of the same run, so that it means the
same on a slow machine as on a fast one. `make bench` prints the table; `--json` prints data."""

import asyncio
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from helios.domain.budget.ledger import Request
from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import OpensOnUse
from helios.domain.ids import TaskId
from helios.domain.pricing import Tier
from helios.domain.workflow.graph import Graph, build_graph
from helios.domain.workflow.readiness import Readiness
from helios.services.projects import load_project
from helios.stores.open import Stores, open_stores
from helios.telemetry.system_clock import SystemClock


@dataclass(frozen=True, slots=True)
class Result:
    """One hot path: its figure, the baseline's, and the ratio that is watched."""

    name: str
    figure: str
    baseline: str
    ratio: float
    goal: str


def best(work: Callable[[], object], times: int = 3) -> float:
    """The shortest of several runs, in seconds."""
    spans = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        spans.append(time.perf_counter() - start)
    return min(spans)


def scheduling() -> Result:
    """10,000 tasks: build the graph and finish every task in turn."""
    draw = random.Random(1)
    names = [TaskId(f"t{n}") for n in range(10_000)]
    needs = {
        task: tuple({names[draw.randrange(n)] for _ in range(3)}) if n else ()
        for n, task in enumerate(names)
    }

    def schedule() -> None:
        graph = build_graph(needs)
        assert isinstance(graph, Graph)
        ready = Readiness(graph)
        while ready.ready:
            ready.complete(next(iter(ready.ready)))

    def walk() -> int:
        return sum(len(of) for _ in range(10) for of in dict(needs).values())

    ours, bare = best(schedule), best(walk)
    ours_text, bare_text = f"{ours * 1e3:.0f} ms", f"ten bare walks {bare * 1e3:.0f} ms"
    return Result("schedule 10,000 tasks", ours_text, bare_text, ours / bare, "under 1 s")


def checking(folder: Path) -> Result:
    """A project file of 1,000 tasks, against reading it with the C YAML loader alone."""
    import yaml

    lines = ["helios: 1", "name: big", "goal: big", "tasks:"]
    for n in range(1000):
        lines += [f"  t{n}:", f"    run: echo {n}"] + ([f"    needs: [t{n - 1}]"] if n else [])
    path = folder / "helios.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    ours = best(lambda: load_project(path, known_agents=(), now=0.0))
    bare = best(lambda: yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader))
    return Result("check 1,000 tasks", f"{ours * 1e3:.0f} ms", f"YAML alone {bare * 1e3:.0f} ms",
                  ours / bare, "under 300 ms")  # fmt: skip


def ledger(folder: Path, callers: int = 16, each: int = 40) -> Result:
    """reserve + mark sent + settle by concurrent callers, against raw durable commits."""
    limit = Limit("l", Unit.MESSAGES, 10**9, OpensOnUse(18_000.0), "w", "l")
    amount = {Unit.MESSAGES: 1}

    async def one(stores: Stores, name: str) -> None:
        for n in range(each):
            admission = await stores.ledger.reserve(
                Request(f"{name}-{n}", Tier.STANDARD, amount), [limit]
            )
            entry = admission.entry
            assert entry is not None
            await stores.ledger.mark_sent(entry.request_id, entry.fence)
            await stores.ledger.settle(entry.request_id, entry.fence, amount)

    async def go() -> float:
        stores = open_stores(f"sqlite:///{folder / 'ledger.db'}", SystemClock())
        try:
            start = time.perf_counter()
            await asyncio.gather(*(one(stores, f"c{c}") for c in range(callers)))
            return time.perf_counter() - start
        finally:
            await stores.close()

    def raw() -> None:
        connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
        connection.executescript("pragma journal_mode=wal; pragma synchronous=full;"
                                 "create table if not exists t(x)")  # fmt: skip
        for n in range(500):
            connection.execute("insert into t values (?)", (n,))
        connection.close()

    rate = callers * each / asyncio.run(go())
    commits = 500 / best(raw, 1)
    rate_text, bare_text = f"{rate:,.0f}/s", f"raw commits {commits:,.0f}/s"
    name = "calls through the ledger (SQLite)"
    return Result(name, rate_text, bare_text, rate / commits, "above 0.3")


def starting() -> Result:
    """`helios --version` against a bare interpreter."""

    def run(*words: str) -> None:
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)

    ours = best(lambda: run("-m", "helios", "--version"), 5)
    bare = best(lambda: run("-c", "pass"), 5)
    return Result("helios --version", f"{ours * 1e3:.0f} ms", f"bare python {bare * 1e3:.0f} ms",
                  ours / bare, "80 ms over bare")  # fmt: skip


def main() -> None:
    """Run all and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = [scheduling(), checking(folder), ledger(folder), starting()]
    if "--json" in sys.argv:
        print(json.dumps([asdict(result) for result in results], indent=2))
        return
    print(f"{'hot path':36}{'figure':>12}  {'baseline':28}{'ratio':>8}  goal")
    for r in results:
        print(f"{r.name:36}{r.figure:>12}  {r.baseline:28}{r.ratio:>8.2f}  {r.goal}")


if __name__ == "__main__":
    main()
