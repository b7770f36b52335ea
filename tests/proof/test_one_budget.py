"""Four processes with fifty callers each on one budget, next to the way that fails."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from helios.stores.sql import engines
from tests.proof.books import BooksCheck
from tests.proof.children import Meter, Spending, spending, spending_naively
from tests.proof.forks import Forks
from tests.proof.meters import compare

pytestmark = pytest.mark.slow

PROCESSES, CALLERS, CAP = 4, 50, 1_200


def run_together(forks: Forks, act: Callable[[Spending, Any], None], job: Spending) -> int:
    """Let all begin at the same moment; what the provider billed."""
    children = [forks.start(act, replace(job, name=f"{act.__name__}{n}")) for n in range(PROCESSES)]
    assert [child.hear() for child in children] == ["ready"] * PROCESSES
    for child in children:
        child.say("go")
    assert [child.hear() for child in children] == ["done"] * PROCESSES
    return sum(tokens for _, tokens in Meter.read(job.meter))


def test_two_hundred_callers_share_a_budget_exactly(
    store_url: str, forks: Forks, tmp_path: Path, books_check: Callable[[str], BooksCheck]
) -> None:
    naive = Spending(store_url, "", CAP, tmp_path / "naive", callers=CALLERS)
    engine = create_engine(engines.parse(store_url))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE naive (spent BIGINT)"))
        connection.execute(text("INSERT INTO naive VALUES (0)"))
    overrun = run_together(forks, spending_naively, naive)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE naive"))
    engine.dispose()
    assert overrun > 1.02 * CAP, "looking before adding did not overrun: this proves nothing"

    job = replace(naive, meter=tmp_path / "meter")
    billed = run_together(forks, spending, job)
    check = books_check(store_url)
    tables = check.check()
    assert compare(tables, job.meter, CAP) == billed
    (books,) = [b for b in tables["ledger_balances"] if b["limit_key"] == "room/0"]
    assert (books["spent"], books["held"], books["breach"]) == (billed, 0, 0)
    assert 0.99 * CAP <= billed <= CAP
    refusals = check.denials("room/0")
    assert len(refusals) >= PROCESSES * CALLERS, "everybody is refused at the end"
    false = [name for name, taken in refusals if taken + int(name.rpartition(":")[2]) <= CAP]
    assert not false, f"{false} were refused although they fitted"
