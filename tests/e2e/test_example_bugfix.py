"""The main job on real input: every bug of the example is fixed by a patch its tests accepted."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.helios_process import EXAMPLE, Helios, assert_books_balance

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]


def test_the_example_ends_with_every_bug_fixed(helios: Helios, tmp_path: Path) -> None:
    result = helios.run("run", str(EXAMPLE), "--json")
    assert result.code == 0, result.err + result.out[-2000:]
    summary = result.lines[-1]
    assert summary["event"] == "summary"
    assert summary["simulated"] is True
    assert summary["tasks"] == {"done": 18}
    assert summary["retries"] >= 8
    assert summary["escalations"] >= 2
    assert summary["messages"] == len(helios.meter())

    checkout = tmp_path / "result"
    repository = next(helios.home.glob("runs/*/repository"))
    subprocess.run(
        ["git", "clone", "-q", "-b", summary["branch"], str(repository), str(checkout)], check=True
    )
    suite = [sys.executable, "-B", "-m", "unittest", "discover", "-s", "tests", "-t", "."]
    after = subprocess.run(suite, cwd=checkout, capture_output=True, text=True, check=False)
    assert after.returncode == 0, after.stderr
    before = subprocess.run(
        suite, cwd=EXAMPLE.parent / "algorithms", capture_output=True, text=True, check=False
    )
    assert before.returncode != 0
    assert_books_balance(helios)


def test_every_screen_log_and_report_says_simulated(helios: Helios) -> None:
    result = helios.run("run", str(EXAMPLE))
    assert result.code == 0, result.err
    assert "simulated" in result.out
    report = next(helios.home.glob("runs/*/report/report.md")).read_text("utf-8")
    assert "simulated" in report
    data = json.loads(next(helios.home.glob("runs/*/report/report.json")).read_text("utf-8"))
    assert data["simulated"] is True
    assert "simulated" in helios.run("status", str(EXAMPLE)).out
    log = (helios.home / "logs" / "helios.jsonl").read_text("utf-8").splitlines()
    said = [json.loads(line) for line in log]
    assert {line["simulated"] for line in said if line.get("task")} == {True}
    assert sum(line["event"] == "call" for line in said) == len(helios.meter())
    assert max(len(line) for line in result.out.splitlines()) <= 80


def test_a_wrong_patch_fails_its_gate(helios: Helios, tmp_path: Path) -> None:
    """Only wrong answers are recorded: the task must fail, whoever answered."""
    folder = tmp_path / "bugfix"
    shutil.copytree(EXAMPLE.parent, folder)
    project = folder / "helios.yaml"
    project.write_text(
        "helios: 1\nname: wrong\ngoal: never\nrepo:\n  snapshot: algorithms\n"
        "answers: answers.yaml\ntasks:\n  fix:\n    agent: coder\n    retries: 1\n"
        "    files: [algorithms/numbers.py]\n    editable: [algorithms/numbers.py]\n"
        "    gates: [python -m unittest tests.test_gcd]\n    prompt: gcd is wrong\n",
        encoding="utf-8",
    )
    (folder / "answers.yaml").write_text(
        "about: a wrong patch\nanswers:\n- when: {contains: 'Task: fix'}\n  tool: submit_patch\n"
        "  input:\n    summary: changes words only\n    edits:\n"
        "    - path: algorithms/numbers.py\n      find: 'def gcd('\n"
        '      replace: "# 바뀐 것 없음\\ndef gcd("\n',
        encoding="utf-8",
    )
    result = helios.run("run", str(project), "--json")
    assert result.code == 1, result.out
    summary = result.lines[-1]
    assert summary["tasks"] == {"failed": 1}
    assert summary["attempts"] == 2
    why = helios.run("why", "fix", str(project), "--json").data
    assert [a["failure"] for a in why["attempts"]] == ["gate failed", "gate failed"]
    assert "FAILED" in why["attempts"][0]["detail"]
