"""A snapshot holds what its owner would commit: Git's own reading of `.gitignore`."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from helios.codebase.worktrees import GitWorkspace

Git = Callable[..., str]
Names = Callable[[str], list[str]]


@pytest.fixture
def names(make: Callable[..., GitWorkspace], git: Git) -> Names:
    """What the snapshot of a folder holds."""

    def of(snapshot: str) -> list[str]:
        workspace = make(snapshot=snapshot)
        base = asyncio.run(workspace.prepare())
        assert workspace.place is not None
        listed = git(workspace.place, "ls-tree", "-r", "-z", "--name-only", base)
        return listed.split("\0")[:-1]

    return of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a secret and rules that leave it out."""
    place = tmp_path / "plain"
    (place / "하위" / "build").mkdir(parents=True)
    (place / ".gitignore").write_text(".env*\n!.env.example\nbuild/\n*.log\n")
    (place / "하위" / ".gitignore").write_text("!keep.log\n/only-here\n", encoding="utf-8")
    for name in (".env", ".env.example", "a.log", "a.py", "only-here", "하위/.env",
                 "하위/keep.log", "하위/only-here", "하위/build/x.py"):  # fmt: skip
        (place / name).write_text("SECRET=1\n")
    return place


KEPT = [".env.example", ".gitignore", "a.py", "only-here", "하위/.gitignore", "하위/keep.log"]


def test_without_a_repository(folder: Path, names: Names) -> None:
    assert names("plain") == KEPT


def test_in_a_checkout_without_a_commit(folder: Path, names: Names, git: Git) -> None:
    git(folder, "init", "--quiet")
    assert names("plain") == KEPT


def test_a_tracked_file_is_there_and_a_deleted_one_is_not(
    folder: Path, names: Names, git: Git
) -> None:
    git(folder, "init", "--quiet")
    git(folder, "add", "--force", "a.log", "a.py")
    (folder / "a.py").unlink()
    (folder / ".git" / "info" / "exclude").write_text("only-here\n")
    kept = [name for name in KEPT if name not in ("a.py", "only-here")]
    assert names("plain") == sorted([*kept, "a.log"], key=str.encode)


def test_a_part_of_a_checkout_follows_the_rules_above_it(
    folder: Path, names: Names, git: Git
) -> None:
    git(folder, "init", "--quiet")
    assert names("plain/하위") == [".gitignore", "keep.log"]


def test_a_folder_that_a_checkout_around_it_ignores_has_only_its_own_rules(
    folder: Path, names: Names, git: Git, tmp_path: Path
) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("*\n")
    assert names("plain") == KEPT


def test_repositories_inside_are_part_of_it(folder: Path, names: Names, git: Git) -> None:
    inner = folder / "lib" / "inner"
    inner.mkdir(parents=True)
    git(inner, "init", "--quiet")
    (inner / ".gitignore").write_text("secret\n")
    (inner / "secret").write_text("1\n")
    (inner / "code.py").write_text("1\n")
    inside = ["lib/inner/.gitignore", "lib/inner/code.py"]
    wanted = sorted([*KEPT, *inside], key=str.encode)
    assert names("plain") == wanted
    git(folder, "init", "--quiet")
    shutil.rmtree(folder.parent / "h")
    assert names("plain") == wanted


def test_a_submodule_never_fetched_is_a_folder(folder: Path, names: Names, git: Git) -> None:
    git(folder, "init", "--quiet")
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    (folder / "sub").mkdir()
    (folder / "sub" / "x").touch()
    assert names("plain") == [*KEPT[:4], "sub/x", *KEPT[4:]]
