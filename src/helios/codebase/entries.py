"""Git's own records of worktrees, `.git/worktrees/<name>/`, and what a killed Git leaves of them.

Git writes `gitdir` (where the worktree is) first and `commondir` last. An empty `commondir`
makes every later `git worktree` and `git gc` in the repository fail, the user's own too.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from helios.errors import WorkspaceError

_WHERE, _COMMON = "gitdir", "commondir"


def find_entry(git_dir: Path, folder: Path) -> Path | None:
    """The record of the worktree at a folder, whatever the worktree itself says."""
    for entry, where in _entries(git_dir):
        if where == folder / ".git":
            return entry
    return None


def forget_entry(git_dir: Path, folder: Path) -> None:
    """Remove the records of the worktree at a folder.

    What tells whose they are goes last, so that a removal that is cut short can be resumed.

    Raises:
        WorkspaceError: they cannot be removed.
    """
    while entry := find_entry(git_dir, folder):
        _remove(entry, folder)


def forget_below(git_dir: Path, folder: Path) -> None:
    """Remove the records of every worktree that was somewhere below a folder.

    Raises:
        WorkspaceError: they cannot be removed.
    """
    for entry, where in _entries(git_dir):
        if where.is_relative_to(folder):
            _remove(entry, where.parent)


def mend_entries(git_dir: Path, below: Path) -> None:
    """Complete records of worktrees below a folder that a killed Git left with a part empty."""
    for entry, where in _entries(git_dir):
        common = entry / _COMMON
        if where.is_relative_to(below) and common.is_file() and not common.stat().st_size:
            common.write_text("../..\n", encoding="utf-8")


def _remove(entry: Path, folder: Path) -> None:
    try:
        for path in entry.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _WHERE:
                path.unlink()
        (entry / _WHERE).unlink()
        entry.rmdir()
    except OSError as error:
        raise WorkspaceError(
            f"cannot remove Git's record of the worktree {folder}: {error}",
            next_step="Run `git worktree prune` in the repository, then resume the run.",
        ) from error


def _entries(git_dir: Path) -> Iterator[tuple[Path, Path]]:
    """Every record and the place of the worktree's `.git` it is for."""
    for record in sorted((git_dir / "worktrees").glob(f"*/{_WHERE}")):
        try:
            where = record.read_bytes()
        except FileNotFoundError:
            continue  # another run has just closed its worktree
        yield record.parent, Path(os.fsdecode(where).strip())
