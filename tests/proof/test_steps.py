"""A call killed at every durable step, then taken up by a new process."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.proof.books import BooksCheck
from tests.proof.children import Asking, Meter, asking
from tests.proof.forks import Forks

pytestmark = pytest.mark.slow

WHERE = ("before", "inside", "after")
KILLED = -9


def run(forks: Forks, job: Asking) -> tuple[str, int, int, int]:
    child = forks.start(asking, job)
    answer: tuple[str, int, int, int] = child.hear()
    assert child.join() == 0
    return answer


def is_killed(forks: Forks, job: Asking) -> bool:
    """Whether it got as far as the step at which it dies."""
    child = forks.start(asking, job)
    code = child.join()
    assert code in (0, KILLED)
    return code == KILLED


def is_kept(job: Asking) -> bool:
    """Whether the reply was stored before the process died."""
    with closing(sqlite3.connect(job.folder / "helios.db")) as connection:
        kept: int = connection.execute("SELECT count(*) FROM calls").fetchone()[0]
    return kept > 0


def check_the_end(forks: Forks, job: Asking) -> tuple[int, int]:
    """Take it up and ask once more; how often the provider was called and how many are charged."""
    job = replace(job, step=0, where="")
    due = len(Meter.read(job.meter)) + (not is_kept(job))
    text, _, spent, held = run(forks, job)
    calls = len(Meter.read(job.meter))
    assert calls == due, "what was kept is not asked for again, what was lost is asked once more"
    again = run(forks, job)
    assert (text, held) == ("대답", 0)
    assert again[0] == text
    assert again[2:] == (spent, 0)
    assert len(Meter.read(job.meter)) == calls, "a reply that was kept was asked for again"
    check = BooksCheck(f"sqlite:///{job.folder / 'helios.db'}")
    tables = check.check()
    check.close()
    charged = ("settled", "charged-estimate")
    assert spent == sum(row["state"] in charged for row in tables["ledger_entries"])
    tokens = sum(billed for _, billed in Meter.read(job.meter))
    assert calls <= spent, "the provider was called more often than was charged"
    totals = [b["spent"] for b in tables["ledger_balances"] if b["unit"] == "tokens"]
    assert all(tokens <= total for total in totals)
    return calls, spent


def durable_steps(forks: Forks, folder: Path) -> int:
    folder.mkdir()
    return run(forks, Asking(folder))[1]


def test_a_call_killed_at_every_durable_step(forks: Forks, tmp_path: Path) -> None:
    steps = durable_steps(forks, tmp_path / "alive")
    assert steps >= 4, "reserve, mark sent, keep the reply, settle"
    ends = {}
    for step in range(1, steps + 1):
        for where in WHERE:
            folder = tmp_path / f"{step}-{where}"
            folder.mkdir()
            job = Asking(folder, step, where)
            assert is_killed(forks, job), f"nothing was killed {where} step {step}"
            ends[step, where] = check_the_end(forks, job)
    # Only what was lost between the mark and the kept reply is called, and then paid, again.
    twice = {place for place, (calls, _) in ends.items() if calls == 2}
    assert twice <= {place for place, (_, charged) in ends.items() if charged == 2}
    assert all(calls <= 2 and charged <= 2 for calls, charged in ends.values())
    # The first transaction after the bill keeps the reply: dying before or inside it loses that.
    assert len(twice) == 2, f"the reply was lost at {sorted(twice)}"


@pytest.mark.parametrize(("where", "calls"), [("unbilled", 1), ("billed", 2)])
def test_a_call_killed_at_the_provider(
    forks: Forks, tmp_path: Path, where: str, calls: int
) -> None:
    job = Asking(tmp_path, where=where)
    assert is_killed(forks, job)
    assert check_the_end(forks, job) == (calls, 2)


def test_a_recovery_killed_at_every_durable_step(forks: Forks, tmp_path: Path) -> None:
    """Each process gets one step further, or dies where the one before it died."""
    for where in WHERE:
        folder = tmp_path / where
        folder.mkdir()
        assert is_killed(forks, Asking(folder, where="billed"))
        died = sum(is_killed(forks, Asking(folder, step, where)) for step in range(1, 6))
        assert died >= 2, "the recovery was hardly disturbed"
        check_the_end(forks, Asking(folder))
