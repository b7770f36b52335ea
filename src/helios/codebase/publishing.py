"""Branches that carry results: moved only where no commit of anybody else is lost."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from helios.codebase.git import Git
from helios.codebase.repositories import LOCK_PAUSES_S
from helios.domain.ids import TaskId
from helios.errors import WorkspaceError


@dataclass(frozen=True, slots=True)
class Unmerged:
    """A result that is not part of the run's branch but has one of its own.

    `collides_with` are the tasks whose results, which are part of it, change the same lines of
    `files`.
    """

    task: TaskId
    branch: str
    collides_with: tuple[TaskId, ...]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """The branch of a run, and what could not be merged into it.

    `instead_of` is the branch it should be on, where that holds somebody else's commits.
    """

    branch: str
    unmerged: tuple[Unmerged, ...] = ()
    instead_of: str = ""


async def publish_commit(git: Git, branch: str, wanted: str, *, ours: Collection[str]) -> str:
    """Let a branch contain a commit; the branch's name, with a number where it was taken.

    A branch is moved forward, or away from a commit that this run put there itself (`ours`).
    One that holds a commit of somebody else stays as it is.

    Raises:
        WorkspaceError: the branch is checked out somewhere, where moving it would do harm.
    """
    name, number = branch, 1
    while not await _let_contain(git, name, wanted, ours):
        number += 1
        name = f"{branch}-{number}"
    return name


async def is_contained(git: Git, commit: str, within: str) -> bool:
    """Whether a commit is part of the history of another."""
    ended = await git.attempt("merge-base", "--is-ancestor", commit, within, accept=(0, 1))
    return ended.code == 0


async def _let_contain(git: Git, name: str, wanted: str, ours: Collection[str]) -> bool:
    ref = f"refs/heads/{name}"
    pauses = iter(LOCK_PAUSES_S)
    while True:
        held = await git.run("for-each-ref", "--format=%(objectname) %(worktreepath)", ref)
        now, _, where = held.partition(" ")
        if now and await is_contained(git, wanted, now):
            return True
        if now and now not in ours and not await is_contained(git, now, wanted):
            return False
        if where:
            raise WorkspaceError(
                f"the branch {name} is checked out in {where}",
                next_step="Switch to another branch there, then resume the run.",
            )
        # Moved only from the commit just looked at; an empty one: only where there is no branch.
        move = ("update-ref", "--no-deref", ref, wanted, now)
        if (await git.attempt(*move, accept=(0, 1, 128))).code == 0:
            return True
        pause_s = next(pauses, None)
        if pause_s is None:
            (git.directory / f"{ref}.lock").unlink(missing_ok=True)  # a killed Git left it
            await git.run(*move)
            return True
        await asyncio.sleep(pause_s)
