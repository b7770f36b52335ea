"""Real Git repositories in temporary folders."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from helios.codebase.worktrees import GitWorkspace
from helios.domain.ids import RunId
from helios.domain.workflow.spec import RepoSpec
from helios.testing.clock import MovableClock

_ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "은지",
    "GIT_AUTHOR_EMAIL": "eunji@example.org",
    "GIT_COMMITTER_NAME": "은지",
    "GIT_COMMITTER_EMAIL": "eunji@example.org",
    "GIT_AUTHOR_DATE": "1750000000 +0900",
    "GIT_COMMITTER_DATE": "1750000000 +0900",
}

Git = Callable[..., str]
MakeWorkspace = Callable[..., GitWorkspace]


@pytest.fixture
def git() -> Git:
    """The user's own Git: `git(folder, "status")`."""

    def run(folder: Path, *args: str) -> str:
        ended = subprocess.run(
            ["git", *args], cwd=folder, env=_ENV, check=True, capture_output=True, text=True
        )
        return ended.stdout.removesuffix("\n")

    return run


@pytest.fixture
def checkout(tmp_path: Path, git: Git) -> Path:
    """A user's checkout with one commit, Korean names and texts among it."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "app").mkdir()
    (folder / "app" / "one.py").write_text("x = 1\n", encoding="utf-8")
    (folder / "app" / "two.py").write_text("y = 2\n", encoding="utf-8")
    (folder / "문서").mkdir()
    (folder / "문서" / "읽어보기.md").write_text("안녕하세요\n", encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=첫 커밋")
    return folder


@pytest.fixture
def make(tmp_path: Path) -> MakeWorkspace:
    """Workspaces whose project file lies in `tmp_path`."""

    def build(
        *, path: str | None = None, snapshot: str | None = None, run: str = "demo.1", at: str = "h"
    ) -> GitWorkspace:
        return GitWorkspace(
            run=RunId(run),
            spec=RepoSpec(path=path, snapshot=snapshot),
            project_dir=tmp_path,
            home=tmp_path / at / "runs" / run,
            snapshot_dir=tmp_path / at / "snapshots" / "demo",
            clock=MovableClock(),
        )

    return build


@pytest.fixture
def workspace(make: MakeWorkspace, checkout: Path) -> GitWorkspace:
    """A workspace on the user's checkout."""
    return make(path=checkout.name)
