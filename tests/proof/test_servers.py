"""A PostgreSQL server that is killed and started again in the middle of spending."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from helios.stores.sql.database import Patience, open_database
from helios.stores.sql.ledger import SqlLedger
from tests.postgres import NO_POSTGRES, postgres_binary
from tests.proof.books import OPEN, BooksCheck
from tests.proof.children import Meter, Spending, spend
from tests.proof.meters import compare, sweep_after_the_leases

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

CAP = 2_000
RESTARTS = 2


class Server:
    """One that may die; what it has said to be committed is on the disk."""

    def __init__(self, initdb: str, postgres: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="helios-pg-"))
        self.url = f"postgresql://postgres@/postgres?host={self.folder}"
        self._postgres, self._data = postgres, str(self.folder / "data")
        is_root = os.geteuid() == 0
        self._user = (
            {"user": "postgres", "group": "postgres", "extra_groups": []} if is_root else {}
        )
        if is_root:
            shutil.chown(self.folder, "postgres", "postgres")
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._run([initdb, "-D", self._data, *options]).wait()

    def _run(self, command: list[str]) -> "subprocess.Popen[bytes]":
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, **self._user)

    def start(self) -> None:
        """Start it, and again while something of the one that died is left."""
        until = time.perf_counter() + 60
        while time.perf_counter() < until:
            self._process = self._run(
                [self._postgres, "-D", self._data, "-k", str(self.folder), "-clisten_addresses="]
            )
            while self._process.poll() is None:
                try:
                    psycopg.connect(self.url).close()
                except psycopg.OperationalError:
                    time.sleep(0.05)
                else:
                    return
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        """kill -9 for the server and all that it has started."""
        family = [*psutil.Process(self._process.pid).children(recursive=True)]
        self._process.kill()
        for child in family:
            if child.is_running():
                child.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=30)


@pytest.fixture
def server() -> Iterator[Server]:
    initdb, postgres = postgres_binary("initdb"), postgres_binary("postgres")
    if not (initdb and postgres):
        pytest.skip(NO_POSTGRES)
    made = Server(initdb, postgres)
    made.start()
    yield made
    made.stop()
    shutil.rmtree(made.folder, ignore_errors=True)


def test_nothing_is_lost_when_the_server_dies(
    server: Server, tmp_path: Path, books_check: Callable[[str], BooksCheck]
) -> None:
    meter = tmp_path / "meter"
    job = Spending(server.url, "p", CAP, meter, callers=20)

    async def work() -> None:
        database = open_database(server.url, patience=Patience(server_s=30))
        working = asyncio.ensure_future(spend(SqlLedger(database), job, lambda: None))
        for restart in range(1, RESTARTS + 1):
            while len(Meter.read(meter)) < restart * 80:
                assert not working.done(), "all was spent before the server was killed"
                await asyncio.sleep(0.01)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        await working
        await database.close()

    asyncio.run(work())
    check = books_check(server.url)
    billed = compare(check.check(), meter, CAP)
    sweep_after_the_leases(server.url)
    tables = check.check()
    assert not [row for row in tables["ledger_entries"] if row["state"] in OPEN]
    assert compare(tables, meter, CAP) == billed <= CAP
    (books,) = [b for b in tables["ledger_balances"] if b["limit_key"] == "room/0"]
    assert billed <= books["spent"] <= CAP
    assert books["spent"] >= 0.9 * CAP, "it did not go on"
