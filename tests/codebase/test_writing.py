"""What an answer may not write, and that gates judge what is in the commit and nothing else."""

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from helios.codebase import files
from helios.codebase.worktrees import GitWorkspace
from helios.domain.ids import TaskId
from helios.errors import HeliosError, PatchRejected

FIX = TaskId("fix")
Git = Callable[..., str]


@pytest.fixture
def linked(checkout: Path, git: Git) -> Path:
    """The checkout with tracked links: a folder, a file, one into nothing."""
    (checkout / "tests").mkdir()
    (checkout / "tests" / "test_one.py").write_text("assert 1\n")
    (checkout / "app" / "link").symlink_to("../tests")
    (checkout / "app" / "파일").symlink_to("../tests/test_one.py")
    (checkout / "app" / "nowhere").symlink_to("../tests/new.py")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message=links")
    return checkout


def _opened(workspace: GitWorkspace) -> Path:
    return asyncio.run(workspace.open(FIX, asyncio.run(workspace.prepare())))


def _refused(workspace: GitWorkspace, changes: Mapping[str, str], why: str) -> None:
    with pytest.raises(PatchRejected, match=why):
        asyncio.run(workspace.write(FIX, changes))


@pytest.mark.parametrize(
    "path", ["app/link/test_one.py", "app/link/new.py", "app/파일", "app/nowhere", "app/link"]
)
def test_no_tracked_link_is_written_through(
    workspace: GitWorkspace, linked: Path, git: Git, path: str
) -> None:
    folder = _opened(workspace)
    _refused(workspace, {path: "assert 0\n"}, "is a symbolic link; name the file itself")
    assert git(folder, "status", "--porcelain") == ""
    assert asyncio.run(workspace.read(FIX, [path])) == {}


def test_a_link_that_turns_up_between_check_and_write_is_not_followed(
    workspace: GitWorkspace, linked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _opened(workspace)
    whole = files._check_place

    def swap(root: Path, path: str, tracked: object) -> None:
        whole(root, path, tracked)  # type: ignore[arg-type]
        target = folder / path
        if target.exists():
            target.unlink()
            target.symlink_to(folder / "tests" / "test_one.py")
        else:
            target.parent.symlink_to(folder / "tests")

    monkeypatch.setattr(files, "_check_place", swap)
    asyncio.run(workspace.write(FIX, {"app/one.py": "x = 3\n"}))
    assert (folder / "app/one.py").read_text() == "x = 3\n"
    with pytest.raises(HeliosError, match="cannot write"):
        asyncio.run(workspace.write(FIX, {"fresh/new.py": "assert 0\n"}))
    assert [path.name for path in (folder / "tests").iterdir()] == ["test_one.py"]
    assert (folder / "tests" / "test_one.py").read_text() == "assert 1\n"


def test_a_second_name_of_a_file_is_not_written_through(workspace: GitWorkspace) -> None:
    folder = _opened(workspace)
    os.link(folder / "app/two.py", folder / "twin")
    asyncio.run(workspace.write(FIX, {"app/two.py": "y = 9\n"}))
    assert (folder / "twin").read_text() == "y = 2\n"


@pytest.mark.parametrize(
    "data", [b"x" * (512 * 1024 + 1), "é".encode("latin-1"), b"\0data"], ids=["big", "latin", "nul"]
)
def test_what_was_never_shown_is_not_overwritten(
    workspace: GitWorkspace, checkout: Path, git: Git, data: bytes
) -> None:
    (checkout / "there.txt").write_bytes(data)
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message=there")
    folder = _opened(workspace)
    _refused(workspace, {"there.txt": "new\n"}, "it exists and is no text that was shown")
    assert (folder / "there.txt").read_bytes() == data


def test_an_untracked_file_is_not_overwritten(workspace: GitWorkspace) -> None:
    folder = _opened(workspace)
    (folder / "made.txt").write_text("by a hand\n")
    _refused(workspace, {"made.txt": "new\n"}, "it exists")
    assert (folder / "made.txt").read_text() == "by a hand\n"


@pytest.mark.parametrize("at_once", [False, True])
def test_an_ignored_file_is_refused(
    workspace: GitWorkspace, checkout: Path, git: Git, at_once: bool
) -> None:
    """Also where the answer itself makes it ignored."""
    if not at_once:
        (checkout / ".gitignore").write_text("gen_*.py\n")
        git(checkout, "add", "--all")
        git(checkout, "commit", "--quiet", "--message=ignore")
    _opened(workspace)
    changes = {"a.txt": "1\n", "app/gen_x.py": "1\n"}
    more = {".gitignore": "gen_*.py\n"} if at_once else {}
    _refused(workspace, {**more, **changes}, r"'app/gen_x.py': `\.gitignore` names it")


@pytest.mark.parametrize("path", ["app/__pycache__/x.py", "a.pyc"])
def test_what_is_never_committed_is_refused(workspace: GitWorkspace, path: str) -> None:
    _opened(workspace)
    _refused(workspace, {path: "1\n"}, "compiled files")


def test_a_file_in_a_submodule_is_refused(
    workspace: GitWorkspace, checkout: Path, git: Git
) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    git(checkout, "update-index", "--add", "--cacheinfo", f"160000,{head},바깥")
    git(checkout, "commit", "--quiet", "--message=submodule")
    _opened(workspace)
    _refused(workspace, {"바깥/new.py": "1\n"}, "in a submodule")


def test_a_tracked_file_that_an_ignore_rule_names_may_change(
    workspace: GitWorkspace, checkout: Path, git: Git
) -> None:
    (checkout / ".gitignore").write_text("*.py\n")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message=ignore")
    _opened(workspace)
    asyncio.run(workspace.write(FIX, {"app/one.py": "x = 5\n"}))
    commit = asyncio.run(workspace.commit(FIX, "x"))
    assert git(checkout, "show", f"{commit}:app/one.py") == "x = 5"


def test_after_a_commit_the_worktree_is_a_checkout_of_it(
    workspace: GitWorkspace, checkout: Path, git: Git
) -> None:
    (checkout / ".gitattributes").write_text("*.win text eol=crlf\n*.txt text\n")
    (checkout / ".gitignore").write_text("left/\n")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message=attributes")
    folder = _opened(workspace)
    asyncio.run(workspace.write(FIX, {"a.win": "1\n", "b.txt": "2\r\n", "app/one.py": "x\n"}))
    (folder / "left").mkdir()
    (folder / "left" / "over.py").write_text("1\n")
    (folder / "app" / "__pycache__").mkdir()
    (folder / "app" / "__pycache__" / "one.cpython-311.pyc").write_text("1")
    (folder / "app" / "two.py").unlink()
    commit = asyncio.run(workspace.commit(FIX, "x"))
    assert asyncio.run(workspace.commit(FIX, "x")) == commit
    seen = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    again = asyncio.run(workspace.open(TaskId("again"), commit))
    clean = {str(p.relative_to(again)): p.read_bytes() for p in again.rglob("*") if p.is_file()}
    for made in (seen, clean):
        del made[".git"]
    assert seen == clean
    assert (seen["a.win"], seen["b.txt"]) == (b"1\r\n", b"2\n")
    assert "app/two.py" not in seen
