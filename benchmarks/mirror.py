"""A look at the budget's status: in the mirror, against in the ledger, in the same run.

    python benchmarks/mirror.py [unix:///path/to/socket]

Without an address a redis-server is started for the run.
"""

import asyncio
import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

from helios.domain.budget.ledger import Request
from helios.domain.budget.units import Unit
from helios.domain.pricing import Tier
from helios.mirrors.open import open_mirror
from helios.services.ceilings import Ceilings
from helios.services.governor import Governor
from helios.services.mirroring import StatusMirroring, scope_of
from helios.services.plans import load_plan
from helios.stores.open import open_stores
from helios.telemetry.system_clock import SystemClock

LOOKS = 2_000
GOAL_MS = 1.0


@contextlib.contextmanager
def redis_at(folder: Path) -> Iterator[str]:
    """The address of a private server."""
    binary = shutil.which("redis-server")
    if binary is None:
        sys.exit("redis-server not found: apt-get install redis-server")
    socket = folder / "s"
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--daemonize", "no"]
    process = subprocess.Popen([binary, *options], cwd=folder, stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            time.sleep(0.01)
        yield f"unix://{socket}"
    finally:
        process.kill()
        process.wait()


@contextlib.asynccontextmanager
async def mirroring_at(url: str, folder: Path) -> AsyncIterator[tuple[Governor, StatusMirroring]]:
    """A governor over a ledger with a few calls in it, and its mirror."""
    clock = SystemClock()
    stores = open_stores(f"sqlite:///{folder / 'helios.db'}", clock)
    governor = Governor(stores.ledger, Ceilings(load_plan("max-classic")), clock, stores.budget)
    mirror = open_mirror(url, "", clock)
    try:
        for n in range(20):
            asked = Request(f"r{n}", Tier.STANDARD, {Unit.MESSAGES: 1})
            await stores.ledger.reserve(asked, governor.ceilings.of_account())
        yield governor, StatusMirroring(governor, mirror, clock, scope_of("bench", stores.url))
    finally:
        await mirror.close()
        await stores.close()


async def spans_ms(look: Callable[[], Awaitable[object]], times: int) -> list[float]:
    """How long each look takes."""
    spans = []
    for _ in range(times):
        start = time.perf_counter()
        await look()
        spans.append((time.perf_counter() - start) * 1e3)
    return spans


def told(name: str, spans: list[float]) -> float:
    """Print and give the median."""
    cuts = statistics.quantiles(spans, n=100)
    print(f"{name:26} p50 {cuts[49]:7.3f} ms   p99 {cuts[98]:7.3f} ms   ({len(spans):,} looks)")
    return cuts[49]


async def measure(url: str, folder: Path) -> bool:
    """Both ways, turn and turn about; whether the mirror keeps its goal."""
    mirrored: list[float] = []
    direct: list[float] = []
    async with mirroring_at(url, folder) as (governor, mirroring):
        for _ in range(10):
            await mirroring.rebuild()
            assert (await mirroring.read()).source == "mirror"
            mirrored += await spans_ms(mirroring.read, LOOKS // 10)
            assert (await mirroring.read()).source == "mirror"
            direct += await spans_ms(governor.status, LOOKS // 100)
    mirror_ms = told("mirror (Redis)", mirrored)
    ledger_ms = told("ledger (SQLite)", direct)
    print(f"the mirror is {ledger_ms / mirror_ms:.1f} times as fast; goal: p50 < {GOAL_MS} ms")
    return mirror_ms < GOAL_MS


def main() -> None:
    """Measure, and fail when the goal is missed."""
    with (
        tempfile.TemporaryDirectory(prefix="helios-bench-") as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        url = sys.argv[1] if len(sys.argv) > 1 else stack.enter_context(redis_at(folder))
        sys.exit(0 if asyncio.run(measure(url, folder)) else 1)


if __name__ == "__main__":
    main()
