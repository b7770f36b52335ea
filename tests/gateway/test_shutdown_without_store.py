"""`helios serve` ends in a bounded time when its database is locked or answers nobody."""

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.helios_process import Helios
from tests.gateway.recorder import recorder
from tests.gateway.test_shutdown import Client, Slow, message, serve, until
from tests.server.test_store_down import own_postgres, running

pytestmark = pytest.mark.slow
QUICKLY = "s.BOOKS_S = 1.5; s.END_S = {}; "
GONE = 6
MOST_S = 18
"""Longer than the end takes here, shorter than a writer's patience, which it used to take."""


def log_of(helios: Helios) -> list[dict[str, Any]]:
    log = (helios.home / "logs" / "helios.jsonl").read_text("utf-8")
    return [json.loads(line) for line in log.splitlines()]


def ended(process: "subprocess.Popen[str]") -> str:
    """What it said on stderr, in one line."""
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=MOST_S)
    assert process.returncode == GONE, err
    assert "Traceback" not in err
    return " ".join(err.split())


def test_a_locked_file_does_not_keep_it(tmp_path: Path) -> None:
    slow, patience = Slow(counts=False), QUICKLY.format(60)
    with recorder(slow) as upstream, serve(tmp_path / "집", upstream, 0.3, patience) as served:
        process, url, helios = served
        waits = Client(url, "/v1/messages", message("조용히"))
        until(lambda: len(upstream.bodies) == 1)
        file = next(helios.home.rglob("helios.db"))
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("begin immediate")
            said = ended(process)
        assert waits.refusal()[0] == 503
        assert "requests whose books are left open: 1" in said
        assert "charged when their leases end" in said
        (left,) = helios.rows("select request_id from ledger_entries where state = 'sent'")
        told = [line for line in log_of(helios) if line["event"].startswith("left open")]
        assert [line["requests"] for line in told] == [list(left)]


def test_without_open_books_a_locked_file_is_no_trouble(tmp_path: Path) -> None:
    slow = Slow(counts=False)
    with recorder(slow) as upstream, serve(tmp_path / "집", upstream, 0.3) as served:
        process, _, helios = served
        file = next(helios.home.rglob("helios.db"))
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("begin immediate")
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=MOST_S)
        assert process.returncode == 0


@contextmanager
def frozen(url: str, folder: Path) -> Iterator[None]:
    """A server that keeps its connections and answers nothing."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "select pid from pg_stat_activity where application_name = 'helios'"
        )
        pids = [pid for (pid,) in found]
    assert pids
    pids.insert(0, int((folder / "data" / "postmaster.pid").read_text().split()[0]))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.postgres
def test_a_server_that_answers_nobody_does_not_keep_it(tmp_path: Path) -> None:
    slow, patience = Slow(counts=False), QUICKLY.format(4)
    with (
        own_postgres() as (database, words, folder),
        running(words, folder, database),
        recorder(slow) as upstream,
        serve(tmp_path / "집", upstream, 0.3, patience, HELIOS_DATABASE=database) as served,
    ):
        process, url, helios = served
        waits = Client(url, "/v1/messages", message("조용히"))
        until(lambda: len(upstream.bodies) == 1)
        with frozen(database, folder):
            said = ended(process)
        assert waits.refusal()[0] == 503
        assert "charged when its lease ends" in said
        events = [line["event"] for line in log_of(helios)]
        assert "ended" in events
        assert "left open; charged when its lease ends" in events
