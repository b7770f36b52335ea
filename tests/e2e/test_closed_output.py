"""`helios run --json | head`: who stops reading stops the run, and loses nothing."""

from pathlib import Path

import pytest

from tests.e2e.helios_process import Helios

pytestmark = pytest.mark.slow

PROJECT = """\
helios: 1
name: 작은 일
goal: 된다
repo: {snapshot: code}
tasks:
  하나: {run: sleep 0.5}
  둘: {run: sleep 30, needs: 하나}
"""


def test_a_run_that_nobody_reads_stops_and_can_go_on(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.txt").write_text("글", encoding="utf-8")
    file = tmp_path / "helios.yaml"
    file.write_text(PROJECT, encoding="utf-8")
    helios = Helios(tmp_path / "home", sandbox="direct")
    process = helios.start("run", str(file), "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    for _ in range(3):
        process.stdout.readline()
    process.stdout.close()
    with process.stderr:
        err = process.stderr.read()
    assert process.wait(timeout=40) == 141, err
    assert "Traceback" not in err
    assert helios.rows("select state, reason from runs") == [("stopped", "stopped by you")]
    states = dict(helios.rows("select id, state from tasks"))
    assert "cancelled" not in states.values()
    assert helios.run("cancel", str(file)).code == 0
