"""One process drives a project, and its death frees it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import helios
from helios.domain.ids import ProjectId
from helios.engine.lock import is_held, project_lock
from helios.errors import ConflictError

PROJECT = ProjectId("작은-일-1")
HOLDER = """
import sys, time
from pathlib import Path
from helios.engine.lock import project_lock
with project_lock(Path(sys.argv[1]), sys.argv[2], "helios.yaml"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    assert not is_held(tmp_path, PROJECT)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), PROJECT],
        env={"PYTHONPATH": str(Path(helios.__file__).parents[1]), "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_held(tmp_path, PROJECT)
        with (
            pytest.raises(ConflictError, match=f"by process {holder.pid}"),
            project_lock(tmp_path, PROJECT, "helios.yaml"),
        ):
            pytest.fail("both hold it")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert not is_held(tmp_path, PROJECT)
        with project_lock(tmp_path, PROJECT, "helios.yaml"):
            assert is_held(tmp_path, PROJECT)


def test_another_project_is_free(tmp_path: Path) -> None:
    with project_lock(tmp_path, PROJECT, "a"), project_lock(tmp_path, ProjectId("other"), "b"):
        assert is_held(tmp_path, ProjectId("other"))
