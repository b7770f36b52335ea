"""Who drives a project: one process at a time, whatever home or machine it works from.

A lock belongs to the place the project's runs live in, dies with its holder, and is never disturbed
by who only looks.
"""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from helios.domain.ids import ProjectId


class Hold(Protocol):
    """A project that this process drives."""

    async def confirm(self) -> None:
        """Make sure that it is still ours; asked every few seconds.

        Raises:
            ConflictError: it was lost and somebody else has it.
            StoreError: nobody can tell, because the place does not answer.
        """
        ...


class ProjectLocks(Protocol):
    """The locks of one place."""

    def hold(self, project: ProjectId, path: str) -> AbstractAsyncContextManager[Hold]:
        """Hold a project until leaving.

        Args:
            project: whose lock.
            path: the project file, for the message.

        Raises:
            ConflictError: (when entered) another process holds it; names the process.
            StoreError: (when entered) the place does not answer.
        """
        ...

    async def is_held(self, project: ProjectId) -> bool:
        """Whether some process drives this project now.

        Raises:
            StoreError: the place does not answer.
        """
        ...
