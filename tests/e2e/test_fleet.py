"""A fleet of runs, each a process of its own, over a window that closes in the middle of it."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from helios.domain.budget.account import ROOT, LimitRule
from helios.domain.budget.units import Unit
from helios.domain.budget.window import OpensOnUse
from helios.stores.open import open_stores
from helios.telemetry.system_clock import SystemClock
from tests.e2e.helios_process import Helios, assert_books_balance

pytestmark = pytest.mark.slow

RUNS, TASKS = 3, 4
CAP, WINDOW_S = 4, 6.0
ANSWERS = """\
answers:
- when: {contains: 'Task:'}
  tool: submit_patch
  input: {summary: add, edits: [{path: a.py, find: 'x = 1', replace: 'x = 2'}]}
"""
TASK = "  t%d: {agent: coder, files: [a.py], editable: [a.py], prompt: change it}\n"


def project(folder: Path, name: str) -> Path:
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "a.py").write_text("x = 1\n", "utf-8")
    (folder / "answers.yaml").write_text(ANSWERS, "utf-8")
    head = f"helios: 1\nname: {name}\ngoal: 된다\nrepo: {{snapshot: code}}\nanswers: answers.yaml\n"
    tasks = "".join(TASK % number for number in range(TASKS))
    (folder / "helios.yaml").write_text(f"{head}tasks:\n{tasks}", "utf-8")
    return folder / "helios.yaml"


def limit(home: Path) -> None:
    """Four messages in six seconds, for everybody together."""

    async def put() -> None:
        stores = open_stores(f"sqlite:///{home / 'helios.db'}", SystemClock())
        rule = LimitRule(ROOT, "short", Unit.MESSAGES, CAP, OpensOnUse(WINDOW_S))
        await stores.budget.put_limit_rule(rule)
        await stores.close()

    home.mkdir(parents=True)
    asyncio.run(put())


def test_every_call_is_made_once_and_no_window_is_overrun(tmp_path: Path) -> None:
    helios = Helios(tmp_path / "집", sandbox="direct")
    limit(helios.home)
    files = [project(tmp_path / name, name) for name in ("하나", "둘", "셋")]
    runs = [helios.start("run", str(file), "--json") for file in files]
    for run in runs:
        out, err = run.communicate(timeout=150)
        assert run.returncode == 0, (out[-2000:], err[-2000:])
    calls = Counter((line["labels"]["project"], line["labels"]["task"]) for line in helios.meter())
    assert len(calls) == RUNS * TASKS
    assert set(calls.values()) == {1}
    windows = helios.rows("select spent from ledger_balances where limit_key like '%short%'")
    assert sum(spent for (spent,) in windows) == RUNS * TASKS
    assert max(spent for (spent,) in windows) <= CAP
    assert_books_balance(helios)
