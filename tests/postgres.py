"""A private PostgreSQL server, for tests and benchmarks."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import psycopg

NO_POSTGRES = "PostgreSQL not found: apt-get install postgresql"


@dataclass(frozen=True)
class PostgresServer:
    """A private server that listens on a socket in its own folder only."""

    folder: Path
    process: subprocess.Popen[bytes]

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


def postgres_binary(name: str) -> str | None:
    """The newest installed server's binary, else one on the PATH."""
    installed = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4])
    )
    return str(installed[-1]) if installed else shutil.which(name)


class NoPostgresError(Exception):
    """There is none on this machine, or it does not start."""


@contextmanager
def private_postgres(*, durable: bool) -> Iterator[PostgresServer]:
    """A server that is stopped at the end; without `durable` its commits wait for no disk.

    Raises:
        NoPostgresError: why not.
    """
    initdb, postgres = postgres_binary("initdb"), postgres_binary("postgres")
    if not (initdb and postgres):
        raise NoPostgresError(NO_POSTGRES)
    folder = Path(tempfile.mkdtemp(prefix="helios-pg-"))
    # The server refuses to run as root.
    user: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []}
    as_user = user if os.geteuid() == 0 else {}
    if as_user:
        shutil.chown(folder, "postgres", "postgres")
    process = None
    try:
        data = str(folder / "data")
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        made = subprocess.run(
            [initdb, "-D", data, *options], cwd=folder, capture_output=True, check=False, **as_user
        )
        if made.returncode:
            raise NoPostgresError(f"initdb failed: {made.stderr.decode()}")
        settings = ["listen_addresses=", "max_connections=200"]
        settings += [] if durable else ["fsync=off"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [postgres, "-D", data, "-k", str(folder), *(f"-c{s}" for s in settings)],
                cwd=folder,
                stdout=log,
                stderr=log,
                **as_user,
            )
        server = PostgresServer(folder, process)
        _wait_until_ready(server)
        yield server
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(server: PostgresServer) -> None:
    began = perf_counter()
    while True:
        try:
            return server.run("SELECT 1")
        except psycopg.OperationalError:
            if server.process.poll() is not None or perf_counter() - began > 30:
                log = (server.folder / "log").read_text()
                raise NoPostgresError(f"the PostgreSQL server did not start:\n{log}") from None
        sleep(0.05)
