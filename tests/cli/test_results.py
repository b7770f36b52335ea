"""What the command line says of results: warnings before, branches and cures afterwards."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.helios_process import Helios

TASK = "{agent: coder, files: [a.py], editable: [a.py], prompt: x}"
PROJECT = f"""\
helios: 1
name: 같은 줄
goal: 된다
repo: {{snapshot: code}}
answers: answers.yaml
tasks:
  left: {TASK}
  right: {TASK}
"""
ANSWERS = """\
about: recorded answers
answers:
- when: {contains: 'Task: left'}
  tool: submit_patch
  input: {summary: 왼쪽, edits: [{path: a.py, find: 'x = 1', replace: 'x = 2'}]}
- when: {contains: 'Task: right'}
  tool: submit_patch
  input: {summary: 오른쪽, edits: [{path: a.py, find: 'x = 1', replace: 'x = 3'}]}
"""
DYING = """\
import os, signal
from helios.bootstrap.finishing import Finisher
async def die(self):
    os.kill(os.getpid(), signal.SIGKILL)
Finisher._publish = die
from helios.cli.main import main
main()
"""


@pytest.fixture
def helios(tmp_path: Path) -> Helios:
    return Helios(tmp_path / "home")


def _project(folder: Path, text: str = PROJECT) -> str:
    (folder / "code").mkdir()
    (folder / "code" / "a.py").write_text("x = 1\n", encoding="utf-8")
    (folder / "answers.yaml").write_text(ANSWERS, encoding="utf-8")
    path = folder / "helios.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_check_warns_of_results_that_may_not_merge(helios: Helios, tmp_path: Path) -> None:
    path = _project(tmp_path)
    said = helios.run("check", path)
    assert said.code == 0
    assert "left and right may both change a.py" in said.err
    (warning,) = helios.run("check", path, "--json").data["warnings"]
    assert "`needs:`" in warning
    in_a_row = PROJECT.replace("  right: {agent", "  right: {needs: left, agent")
    Path(path).write_text(in_a_row, encoding="utf-8")
    assert helios.run("check", path, "--json").data["warnings"] == []


def test_results_that_do_not_merge_are_told_with_their_cure(helios: Helios, tmp_path: Path) -> None:
    path = _project(tmp_path)
    for verb in ("run", "resume"):
        ended = helios.run(verb, path, "--sandbox", "direct")
        assert ended.code == 1
        assert "stopped" in ended.out
        assert "+right" in ended.out
        assert "left and right change the same lines of a.py" in ended.err
        assert "helios run --new" in ended.err
    *_, summary, error = helios.run("run", path, "--sandbox", "direct", "--json").lines
    assert summary["messages"] == 2
    assert summary["unmerged"] == {"right": f"{summary['branch']}+right"}
    assert error["error"] == "workspace"


@pytest.mark.slow
def test_a_kill_while_it_is_published_costs_nothing(helios: Helios, tmp_path: Path) -> None:
    path = _project(tmp_path, PROJECT[: PROJECT.index("  right")])
    killed = subprocess.run(
        [sys.executable, "-c", DYING, "run", path, "--sandbox", "direct"],
        env=helios.environment, check=False, capture_output=True,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr
    *_, summary = helios.run("resume", path, "--json", "--sandbox", "direct").lines
    assert (summary["state"], summary["messages"], summary["run"][-2:]) == ("done", 1, ".1")
    place = helios.home / "runs" / summary["run"] / "repository"
    shown = subprocess.run(
        ["git", "show", f"{summary['branch']}:a.py"], cwd=place, check=True, capture_output=True
    )
    assert shown.stdout == b"x = 2\n"
