"""Runs the real `helios` command in a process of its own."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "bugfix" / "helios.yaml"


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What --json printed."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What --json printed, an object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True)
class Helios:
    """The command with a home of its own."""

    home: Path
    speed: float = 0.0
    sandbox: str = "auto"
    more: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def environment(self) -> dict[str, str]:
        inherited = os.environ  # noqa: TID251 - the process under test needs a PATH
        kept = {k: inherited[k] for k in ("PATH", "HOME", "LANG") if k in inherited}
        return {
            **kept,
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUTF8": "1",
            "HELIOS_HOME": str(self.home),
            "HELIOS_CONFIG": str(self.home / "no-config.toml"),
            "HELIOS_SIMULATOR_SPEED": str(self.speed),
            "HELIOS_SANDBOX": self.sandbox,
            "COLUMNS": "80",
            **self.more,
        }

    def start(self, *words: str, cwd: Path = ROOT) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "helios", *words],
            env=self.environment,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def run(self, *words: str, cwd: Path = ROOT, timeout: float = 120) -> Result:
        process = self.start(*words, cwd=cwd)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"helios {words} hung\n{out}\n{err}") from None
        return Result(process.returncode, out, err)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Straight from the database, not through the product."""
        with sqlite3.connect(self.home / "helios.db") as connection:
            return connection.execute(query).fetchall()

    def meter(self) -> list[dict[str, Any]]:
        """The simulator's own record of what it billed."""
        path = self.home / "simulator-meter.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def assert_books_balance(helios: Helios) -> None:
    """The ledger's invariants 1 and 2, read from its tables; 3 against the provider's meter."""
    for limit, opened, cap, spent, held, breach in helios.rows(
        "select limit_key, opened_at, cap, spent, held, breach from ledger_balances"
    ):
        assert spent + held <= cap + breach, limit
        lines = helios.rows(
            "select e.state, l.estimate, l.charged from ledger_lines l"
            " join ledger_entries e using (request_id)"
            f" where l.limit_key = '{limit}' and l.opened_at = {opened!r}"
        )
        assert held == sum(estimate for state, estimate, _ in lines if state in ("held", "sent"))
        charged = ("settled", "charged-estimate")
        assert spent == sum(paid for state, _, paid in lines if state in charged)
    billed = len(helios.meter())
    entries = dict(helios.rows("select state, count(*) from ledger_entries group by state"))
    certain = entries.get("settled", 0)
    unknown = entries.get("charged-estimate", 0)
    assert certain <= billed <= certain + unknown
