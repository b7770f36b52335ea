"""`helios budget verify` and `rebuild`, as a user meets them after a fright."""

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from sqlalchemy import create_engine, text

from helios.cli.budget_audit_view import exact
from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever
from helios.stores.open import open_stores
from helios.stores.sql import engines
from helios.telemetry.system_clock import SystemClock
from helios.testing.conformance.ledger_basics import entry_of, wish
from tests.e2e.helios_process import ROOT, Helios, Result

LABEL = "회사의 아주 긴 이름을 가진 모바일 쇼핑몰 개선 프로젝트의 한 달 한도"
KEY = "account/회사/모바일/쇼핑몰-개선/한도-하나-둘-셋/한도/microusd"
TOKENS = Limit("plan/토큰", Unit.TOKENS, 10**9, Forever(), "w", "five-hour window [dim]")
DOLLARS = Limit(KEY, Unit.MICROUSD, 10**9, Forever(), "w", LABEL)
BREAK = "UPDATE ledger_balances SET spent = spent + 1"
RIGHT = [(KEY, 1_250_000, 0, 0), ("plan/토큰", 41_000, 0, 0)]

Sql = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture
def helios(tmp_path: Path, store_url: str) -> Helios:
    """A home whose ledger holds two windows, on each kind of database."""

    async def fill() -> None:
        stores = open_stores(store_url, SystemClock())
        for limit, estimate, actual in (
            (TOKENS, 50_000, 41_000),
            (DOLLARS, 2_000_000, 1_250_000),
        ):
            request = wish(limit.key, estimate, unit=limit.unit)
            entry = entry_of(await stores.ledger.reserve(request, [limit]))
            await stores.ledger.mark_sent(limit.key, entry.fence)
            await stores.ledger.settle(limit.key, entry.fence, {limit.unit: actual})
        await stores.close()

    asyncio.run(fill())
    return Helios(tmp_path / "home", sandbox="direct", more={"HELIOS_DATABASE": store_url})


@pytest.fixture
def sql(store_url: str) -> Sql:
    """Past Helios, as whoever breaks the books; on SQLite without the guard of foreign keys."""

    def run(statement: str) -> list[tuple[object, ...]]:
        engine = create_engine(engines.parse(store_url))
        with engine.begin() as connection:
            if "DELETE" in statement and engine.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL session_replication_role = 'replica'"))
            done = connection.execute(text(statement))
            rows = [tuple(row) for row in done] if done.returns_rows else []
        engine.dispose()
        return rows

    return run


def books(sql: Sql) -> list[tuple[object, ...]]:
    rows = sql("SELECT limit_key, spent, held, breach FROM ledger_balances")
    return sorted(rows, key=str)


def answered(helios: Helios, answer: str, *words: str) -> Result:
    """The command with a person at the keyboard."""
    master, slave = pty.openpty()
    os.write(master, answer.encode())
    process = subprocess.run(
        [sys.executable, "-m", "helios", "budget", "rebuild", *words],
        env=helios.environment, cwd=ROOT, stdin=slave, capture_output=True, encoding="utf-8",
        timeout=60, check=False,
    )  # fmt: skip
    os.close(slave)
    os.close(master)
    return Result(process.returncode, process.stdout, process.stderr)


def test_right_books_are_said_to_be_right(helios: Helios) -> None:
    shown = helios.run("budget", "verify")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == "✓ all books agree with their calls: 2 windows of 2 limits\n"
    told = helios.run("budget", "verify", "--json")
    assert (told.code, told.err) == (0, "")
    assert told.data == {"schema": 1, "ok": True, "limits": 2, "windows": 2, "mismatches": []}
    done = helios.run("budget", "rebuild", "--yes")
    assert (done.code, done.err) == (0, "")
    assert "nothing was changed" in done.out


def test_wrong_books_are_listed_to_the_last_digit_and_stay(helios: Helios, sql: Sql) -> None:
    sql(BREAK)
    before = books(sql)
    shown = helios.run("budget", "verify")
    assert shown.code == 1
    assert max(cell_len(line) for line in shown.out.splitlines()) <= 80
    lines = [line.split() for line in shown.out.splitlines()]
    assert ["spent", "41,001", "tokens", "41,000", "tokens", "≠"] in lines
    assert ["spent", "$1.250001", "$1.25", "≠"] in lines
    assert ["held", "$0.00", "$0.00"] in lines
    together = shown.out.replace("\n", "").replace(" ", "")
    assert LABEL.replace(" ", "") in together
    assert KEY in together
    assert "five-hour window [dim], window of 20" in shown.out
    assert "2 of 2 windows do not agree" in shown.out
    assert "helios budget rebuild" in shown.err
    told = helios.run("budget", "verify", "--json")
    assert (told.code, told.err, told.data["ok"]) == (1, "", False)
    first, second = told.data["mismatches"]
    assert (first["limit"], first["label"], first["unit"]) == (KEY, LABEL, "microusd")
    assert second["booked"] == {"spent": 41_001, "held": 0, "breach": 0}
    assert second["added_up"] == {"spent": 41_000, "held": 0, "breach": 0}
    ((opened,),) = sql("SELECT opened_at FROM ledger_balances WHERE limit_key = 'plan/토큰'")
    assert second["opened_at"] == opened
    assert books(sql) == before


def test_without_a_terminal_nothing_is_written_unless_told_to(helios: Helios, sql: Sql) -> None:
    sql(BREAK)
    before = books(sql)
    refused = helios.run("budget", "rebuild")
    assert refused.code == 2
    assert "no terminal" in refused.err
    assert "--yes" in refused.err
    assert helios.run("budget", "rebuild", "--json").data["error"] == "usage"
    assert books(sql) == before
    done = helios.run("budget", "rebuild", "--yes")
    assert (done.code, done.err) == (0, "")
    assert "$1.250001" in done.out
    assert "2 windows written anew" in done.out
    assert books(sql) == RIGHT
    assert helios.run("budget", "verify").code == 0


def test_what_a_script_changed_is_told(helios: Helios, sql: Sql) -> None:
    sql(f"{BREAK} WHERE limit_key = 'plan/토큰'")
    done = helios.run("budget", "rebuild", "--yes", "--json")
    assert (done.code, done.err) == (0, "")
    assert (done.data["ok"], done.data["windows"], done.data["left"]) == (True, 2, [])
    (changed,) = done.data["changed"]
    assert (changed["limit"], changed["booked"]["spent"]) == ("plan/토큰", 41_001)
    assert books(sql) == RIGHT


def test_a_person_is_shown_and_asked(helios: Helios, sql: Sql) -> None:
    sql(BREAK)
    before = books(sql)
    for answer in ("n\n", "\n", "\x04"):
        declined = answered(helios, answer)
        assert declined.code == 1
        assert "41,001 tokens" in declined.out
        assert "(y/N)" in declined.err
        assert "nothing was changed" in declined.err
        assert books(sql) == before
    agreed = answered(helios, "y\n")
    assert agreed.code == 0, agreed.err
    assert agreed.out.count("41,001 tokens") == 1
    assert "2 windows written anew" in agreed.out
    assert books(sql) == RIGHT
    asked_nothing = answered(helios, "n\n")
    assert asked_nothing.code == 0
    assert "(y/N)" not in asked_nothing.err


def test_a_person_may_want_json_too(helios: Helios, sql: Sql) -> None:
    sql(BREAK)
    agreed = answered(helios, "y\n", "--json")
    assert agreed.code == 0, agreed.err
    assert "41,001 tokens" in agreed.err
    assert len(agreed.data["changed"]) == 2


def test_books_that_are_gone_are_not_invented(helios: Helios, sql: Sql) -> None:
    sql("DELETE FROM ledger_balances WHERE limit_key = 'plan/토큰'")
    for words in (["verify"], ["rebuild", "--yes"]):
        shown = helios.run("budget", *words)
        assert shown.code == 1
        assert "no books" in shown.out
        assert "1 window without books" in shown.out
        assert "next:" not in shown.err
        assert max(cell_len(line) for line in shown.out.splitlines()) <= 80
    left = helios.run("budget", "rebuild", "--yes", "--json").data
    assert (left["ok"], left["changed"], left["left"][0]["booked"]) == (False, [], None)


def test_doctor_looks_at_the_books(helios: Helios, sql: Sql) -> None:
    def books_found() -> dict[str, str]:
        findings = helios.run("doctor", "--json").data["findings"]
        return {finding["what"]: finding for finding in findings}["books"]

    assert books_found()["verdict"] == "ok"
    sql(BREAK)
    wrong = books_found()
    assert (wrong["verdict"], wrong["found"]) == ("bad", "wrong in 2 of 2 windows")
    assert "helios budget verify" in wrong["cure"]
    assert helios.run("doctor").code == 1


def test_a_database_that_is_away_is_said(tmp_path: Path) -> None:
    away = Helios(tmp_path / "home", more={"HELIOS_DATABASE": f"sqlite:///{tmp_path}"})
    for words in (["verify"], ["rebuild", "--yes"]):
        refused = away.run("budget", *words)
        assert refused.code == 6
        assert "Traceback" not in refused.err
    findings = away.run("doctor", "--json").data["findings"]
    assert [f["verdict"] for f in findings if f["what"] == "database"] == ["bad"]
    assert "books" not in [finding["what"] for finding in findings]


@pytest.mark.parametrize(
    ("unit", "amount", "shown"),
    [
        (Unit.MICROUSD, 0, "$0.00"),
        (Unit.MICROUSD, 1_500_000, "$1.50"),
        (Unit.MICROUSD, 1_234_000_001, "$1,234.000001"),
        (Unit.MICROUSD, -1, "$-0.000001"),
        (Unit.MILLIPOINTS, 12_000, "12 points"),
        (Unit.MILLIPOINTS, 1_234_567_005, "1,234,567.005 points"),
        (Unit.TOKENS, 34_001, "34,001 tokens"),
        (Unit.MESSAGES, 1, "1 message"),
        (None, 12_345, "12,345"),
    ],
)
def test_amounts_are_shown_to_the_last_digit(unit: Unit | None, amount: int, shown: str) -> None:
    assert exact(unit, amount) == shown
