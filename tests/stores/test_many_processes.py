"""Several processes on one database: opened at once, and killed in the middle of spending."""

import asyncio
import json
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helios.stores.sql.database import open_database
from helios.stores.sql.ledger import SqlLedger
from helios.testing.clock import MovableClock

Caller = Callable[..., subprocess.Popen[str]]


def run_together(processes: list[subprocess.Popen[str]]) -> list[Any]:
    """Let them begin at the same moment; what each answered."""
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert err == ""
        answers.append(json.loads(out))
    return answers


@pytest.mark.slow
def test_two_processes_open_a_new_database_at_once(empty_url: str, caller: Caller) -> None:
    for _ in range(2):
        assert run_together([caller("open", empty_url) for _ in range(4)]) == ["open"] * 4


@pytest.mark.slow
@pytest.mark.postgres
def test_the_books_balance_after_kill_9(
    postgres_store_url: str, caller: Caller, books_check: Callable[[str], Any], tmp_path: Path
) -> None:
    chance, log = random.Random(11), tmp_path / "provider.log"
    for round_ in range(5):
        killed = [caller("spend", postgres_store_url, f"k{round_}.{n}", log) for n in (0, 1)]
        for process in killed:
            assert process.stdout.readline() == "ready\n"
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in killed:
            assert process.stdout.readline() == "spending\n", process.stderr.read()
        for process in killed:
            time.sleep(chance.uniform(0.0, 0.15))
            process.kill()
            process.wait()
    check = books_check(postgres_store_url)
    is_open = {e["request_id"] for e in check.check()["ledger_entries"] if not is_final(e)}
    assert is_open, "nobody was killed in the middle of a call"
    assert asyncio.run(sweep_after_the_leases(postgres_store_url)) == is_open
    tables = check.check()
    assert all(is_final(entry) for entry in tables["ledger_entries"])
    billed = dict(line.split() for line in log.read_text().splitlines())
    charged = {
        line["request_id"]: line["charged"]
        for line in tables["ledger_lines"]
        if line["limit_key"] == "plan/tokens"
    }
    assert len(billed) > 10
    for request_id, actual in billed.items():
        assert charged[request_id] >= int(actual), f"{request_id} was billed but not charged"


def is_final(entry: Any) -> bool:
    return entry["state"] not in ("held", "sent")


async def sweep_after_the_leases(url: str) -> set[str]:
    database = open_database(url)
    now = await SqlLedger(database).now()
    closed = await SqlLedger(database, MovableClock(now + 61)).sweep()
    await database.close()
    return {entry.request_id for entry in closed}
