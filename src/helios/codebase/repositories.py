"""Where a run's code comes from: the user's checkout, or a repository of our own."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from helios.codebase.folders import safe_name
from helios.codebase.git import Git
from helios.codebase.snapshots import import_folder, own_repository
from helios.domain.ids import RunId
from helios.domain.workflow.spec import RepoSpec
from helios.errors import WorkspaceError

LOCK_PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.4)


@dataclass(frozen=True, slots=True)
class RunRefs:
    """The names a run owns in a repository, whoever the repository belongs to.

    `refs/helios/` is no branch; it keeps commits of a run alive when Git cleans up.
    """

    run: RunId

    @property
    def branch(self) -> str:
        """The branch that carries the result."""
        return f"helios/{safe_name(self.run)}"

    @property
    def base(self) -> str:
        """Keeps the commit the run starts from."""
        return f"refs/helios/{safe_name(self.run)}/base"

    def branch_of(self, task: str) -> str:
        """The branch of a task's result that could not be merged."""
        return f"{self.branch}+{safe_name(task)}"

    def task(self, folder: str) -> str:
        """Keeps the last commit of a task."""
        return f"refs/helios/{safe_name(self.run)}/tasks/{folder}"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository ready for work. `git` is bound to it, `place` is where people look."""

    git: Git
    place: Path
    base: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """What `open_repository` needs to know of a run; all paths absolute."""

    refs: RunRefs
    spec: RepoSpec
    project_dir: Path
    home: Path
    snapshot_dir: Path


async def open_repository(git: Git, source: Source, started_from: str | None) -> Repository:
    """Find or make the repository of a run.

    Args:
        git: bound to no repository.
        source: where the code comes from.
        started_from: the commit of an earlier start of the same run, which then stays.

    Raises:
        WorkspaceError: there is no usable repository; says what to do.
    """
    if source.spec.path is not None:
        found = await _checkout(git, _existing(source, "path", source.spec.path))
        base = await found.git.commit_id(started_from or found.base)
        moved = base != found.base
        notes = (
            *found.notes,
            *((f"the checkout has moved on; this run stays with {base[:10]}",) if moved else ()),
            *(await _submodule_note(found.git, base)),
        )
        return Repository(found.git.dated(await _date(found.git, base)), found.place, base, notes)
    return await _own(git, source, started_from)


async def set_ref(git: Git, ref: str, commit: str) -> None:
    """Point a ref of ours at a commit; a lock that a killed Git left on it is removed."""
    for pause_s in LOCK_PAUSES_S:
        done = await git.attempt("update-ref", "--no-deref", ref, commit, accept=(0, 1, 128))
        if done.code == 0:
            return
        # Perhaps another run sets it at this moment; nobody holds it for so long.
        await asyncio.sleep(pause_s)
    (git.directory / f"{ref}.lock").unlink(missing_ok=True)
    await git.run("update-ref", "--no-deref", ref, commit)


async def _own(git: Git, source: Source, started_from: str | None) -> Repository:
    place = source.snapshot_dir
    bound = await own_repository(git, place, run=safe_name(source.refs.run))
    if started_from:
        known = await bound.attempt("cat-file", "-e", started_from, accept=(0, 1, 128))
        if known.code == 0:
            return Repository(bound, place, started_from)
    named = source.spec.snapshot
    folder = None if named is None else _existing(source, "snapshot", named)
    (bound.directory / f"{source.refs.base}.lock").unlink(missing_ok=True)
    base, notes = await import_folder(
        bound, folder, ref=source.refs.base, without=(source.home, place)
    )
    if started_from not in {None, base}:
        raise WorkspaceError(
            f"the snapshot this run started from is lost, and {folder} has changed since",
            next_step="Start a new run.",
        )
    await set_ref(bound, "refs/heads/main", base)
    return Repository(bound, place, base, notes)


def _existing(source: Source, key: str, named: str) -> Path:
    folder = (source.project_dir / named).resolve()
    if not folder.is_dir():
        raise WorkspaceError(
            f"repo.{key}: there is no folder {folder}",
            next_step="Name a folder that exists, relative to the project file.",
        )
    return folder


async def _checkout(git: Git, path: Path) -> Repository:
    """The checkout a folder lies in, with its HEAD as base."""
    here = Git(git.program, path)
    ended = await here.attempt(
        "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir",
        accept=(0, 128),
    )  # fmt: skip
    if ended.code:
        raise WorkspaceError(
            f"repo.path: {path} is no Git checkout ({ended.last_words})",
            next_step="Run `git init` and make a first commit there, or give the folder as "
            "`repo: {snapshot: ...}` instead.",
        )
    top, common = (Path(line) for line in os.fsdecode(ended.out).rstrip("\n").split("\n"))
    head = await here.attempt("rev-parse", "--verify", "--quiet", "HEAD", accept=(0, 1))
    if head.code:
        raise WorkspaceError(
            f"repo.path: {top} has no commit yet",
            next_step="Run `git add -A && git commit` there first.",
        )
    bound = git.at(common)
    taken = await bound.attempt("show-ref", "--quiet", "refs/heads/helios", accept=(0, 1))
    if taken.code == 0:
        raise WorkspaceError(
            f"{top} has a branch `helios`, so no branch `helios/...` can be made beside it",
            next_step="Rename it: git branch -m helios my-helios",
        )
    notes = (*(await _uncommitted_note(Git(git.program, top))), *_root_note(path, top))
    return Repository(bound, top, head.out.decode().strip(), notes)


async def _uncommitted_note(here: Git) -> tuple[str, ...]:
    listed = await here.run(
        "status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=all"
    )
    count = listed.count("\0")
    if not count:
        return ()
    changes = "1 uncommitted change" if count == 1 else f"{count} uncommitted changes"
    return (f"{changes} in the checkout {'is' if count == 1 else 'are'} not part of this run",)


def _root_note(path: Path, top: Path) -> tuple[str, ...]:
    return () if path == top else (f"paths in tasks are relative to the repository's root, {top}",)


async def _submodule_note(git: Git, base: str) -> tuple[str, ...]:
    found = await git.attempt("cat-file", "-e", f"{base}:.gitmodules", accept=(0, 128))
    return () if found.code else ("the repository has submodules; this run sees them empty",)


async def _date(git: Git, commit: str) -> str:
    seconds = await git.run("show", "--no-patch", "--format=%ct", commit)
    return f"@{seconds} +0000"
