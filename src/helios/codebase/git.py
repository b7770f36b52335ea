"""Git as a set of values in and values out: no prompt, no hook, no setting but ours."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from helios.codebase.processes import Ended, run_program
from helios.errors import WorkspaceError

OLDEST_GIT = (2, 38)
"""The first Git that merges without a worktree."""

SNAPSHOT_DATE = "1767225600 +0000"
"""What commits are dated that have no other time to go by."""

_AUTHOR = ("Helios", "helios@localhost")
_SETTINGS = (
    "advice.detachedHead=false",
    "commit.gpgSign=false",
    "core.autocrlf=false",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.quotePath=false",
    "core.safecrlf=false",
    "gc.auto=0",
    "i18n.commitEncoding=utf-8",
    "i18n.logOutputEncoding=utf-8",
    "log.showSignature=false",
    "maintenance.auto=false",
    "safe.directory=*",
    "submodule.recurse=false",
    "worktree.useRelativePaths=false",
)


@dataclass(frozen=True, slots=True)
class Git:
    """Git bound to a repository; `cwd` is where it runs, `date` what its commits are dated.

    `guard` is the file by which others see that it runs; see `processes.run_program`.

    With a `git_dir` nothing is looked up in the work tree: a `.git` that was put there by the
    code we work on is never trusted.
    """

    program: str
    cwd: Path
    git_dir: Path | None = None
    work_tree: Path | None = None
    date: str = SNAPSHOT_DATE
    guard: Path | None = None

    @property
    def directory(self) -> Path:
        """The repository it is bound to."""
        assert self.git_dir is not None, "bound to no repository"
        return self.git_dir

    def dated(self, date: str) -> "Git":
        """The same, with other commit dates."""
        return replace(self, date=date)

    def guarded(self, guard: Path) -> "Git":
        """The same, seen by those who wait for this guard."""
        return replace(self, guard=guard)

    def at(self, git_dir: Path, work_tree: Path | None = None) -> "Git":
        """The same, bound to a repository and perhaps a work tree to run in."""
        return replace(self, git_dir=git_dir, work_tree=work_tree, cwd=work_tree or self.cwd)

    async def run(self, *args: str, stdin: bytes | IO[bytes] = b"") -> str:
        """What a command prints, without the last line's end.

        Raises:
            WorkspaceError: it failed; carries what Git said.
        """
        ended = await self.attempt(*args, stdin=stdin)
        return ended.out.decode(errors="surrogateescape").removesuffix("\n")

    async def attempt(
        self, *args: str, stdin: bytes | IO[bytes] = b"", accept: Sequence[int] = (0,)
    ) -> Ended:
        """How a command ended, where more exit codes than 0 have a meaning.

        Raises:
            WorkspaceError: it ended with any other code; carries what Git said.
        """
        argv = [self.program, *self._options(), *args]
        ended = await run_program(
            argv, env=self._env(), cwd=self.cwd, stdin=stdin, guard=self.guard
        )
        if ended.code not in accept:
            place = self.work_tree or self.git_dir or self.cwd
            raise WorkspaceError(f"git {args[0]} failed in {place}: {ended.last_words}")
        return ended

    async def commit_id(self, name: str) -> str:
        """The full id of the commit something names.

        Raises:
            WorkspaceError: the repository has no such commit.
        """
        ended = await self.attempt(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}",
            accept=(0, 1, 128),
        )  # fmt: skip
        if ended.code:
            raise WorkspaceError(
                f"there is no commit {name!r} in {self.git_dir or self.cwd}",
                next_step="Start a new run if the repository was replaced or its history pruned.",
            )
        return ended.out.decode().strip()

    def _options(self) -> list[str]:
        options = [word for setting in _SETTINGS for word in ("-c", setting)]
        if self.git_dir:
            options.append(f"--git-dir={self.git_dir}")
        if self.work_tree:
            options.append(f"--work-tree={self.work_tree}")
        return options

    def _env(self) -> Mapping[str, str]:
        name, email = _AUTHOR
        return {
            "PATH": f"{Path(self.program).parent}:/usr/local/bin:/usr/bin:/bin",
            "LC_ALL": "C",
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": email,
            "GIT_AUTHOR_DATE": self.date,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": email,
            "GIT_COMMITTER_DATE": self.date,
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
        }


async def find_git(cwd: Path) -> Git:
    """The Git of this machine, bound to no repository yet.

    Raises:
        WorkspaceError: there is none, or it is too old.
    """
    cure = f"Install Git {'.'.join(map(str, OLDEST_GIT))} or newer."
    program = shutil.which("git")
    if program is None:
        raise WorkspaceError("git is not installed", next_step=cure)
    git = Git(program, cwd)
    said = await git.run("version")
    numbers = said.split()[2].split(".")
    if (int(numbers[0]), int(numbers[1])) < OLDEST_GIT:
        raise WorkspaceError(f"{said} is too old", next_step=cure)
    return git
