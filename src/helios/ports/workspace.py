"""The code a project works on: one Git worktree a task."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from helios.domain.ids import TaskId


class Workspace(Protocol):
    """The repository of one run. Every act can be repeated after a crash."""

    async def prepare(self) -> str:
        """Make the repository ready; the commit the run starts from."""
        ...

    async def base_for(self, commits: Sequence[str]) -> str:
        """The commit that contains all of these: the newest, or a merge of them.

        Raises:
            WorkspaceError: they change the same lines; names the files.
        """
        ...

    async def open(self, task: TaskId, base: str) -> Path:
        """A clean worktree of `base` for a task; whatever was there is thrown away."""
        ...

    async def read(self, task: TaskId, patterns: Sequence[str]) -> Mapping[str, str]:
        """The tracked text files that match these globs, by path."""
        ...

    async def write(self, task: TaskId, files: Mapping[str, str]) -> None:
        """Write files into a task's worktree.

        Raises:
            PatchRejected: a path leads somewhere else, is ignored, or replaces what `read` does
                not give.
        """
        ...

    async def commit(self, task: TaskId, message: str) -> str:
        """Commit everything in the worktree; the same commit id for the same content.

        Afterwards the worktree is what a checkout of the commit would be.
        """
        ...

    async def diff(self, base: str, commit: str) -> str:
        """What changed, as a unified diff."""
        ...

    async def analyse(self, task: TaskId) -> Mapping[str, Any]:
        """Static analysis of a task's worktree: modules, imports, circles, size, remarks."""
        ...

    async def publish(self, commit: str) -> str:
        """Let the run's branch contain the result; the branch's name."""
        ...

    async def close(self, task: TaskId) -> None:
        """Remove a task's worktree; its commits stay."""
        ...
