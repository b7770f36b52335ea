"""Both sandboxes, and a work directory with a name that is hard on programs."""

import shutil
import subprocess
from pathlib import Path

import pytest

from helios.ports.sandbox import Sandbox
from helios.sandboxes.open import open_sandbox


@pytest.fixture(scope="session")
def strict() -> Sandbox:
    """Skips only for what is not ours to mend: whether *our* options work is what is tested."""
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        pytest.skip("bubblewrap is not installed: apt-get install bubblewrap")
    bare = [bubblewrap, "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    tried = subprocess.run(bare, capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"this machine does not let bubblewrap work: {tried.stderr.strip()}")
    return open_sandbox("strict")


@pytest.fixture(scope="session")
def direct() -> Sandbox:
    return open_sandbox("direct")


@pytest.fixture(params=[pytest.param("strict", marks=pytest.mark.sandbox), "direct"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Tests that take this run in both: the direct one promises all but containment."""
    chosen: Sandbox = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    directory = tmp_path / "작업 폴더"
    directory.mkdir()
    return directory
