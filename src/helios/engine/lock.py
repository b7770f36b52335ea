"""Whoever drives a project holds it everywhere it could be driven from."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from helios.domain.ids import ProjectId
from helios.ports.locks import Hold, ProjectLocks


class EveryLock:
    """The locks of several places as one: of the home and of the database."""

    def __init__(self, places: Sequence[ProjectLocks]) -> None:
        self._places = places

    @asynccontextmanager
    async def hold(self, project: ProjectId, path: str) -> AsyncIterator[Hold]:
        """Hold it in each place, or in none."""
        async with AsyncExitStack() as stack:
            yield _Holds(
                [await stack.enter_async_context(p.hold(project, path)) for p in self._places]
            )

    async def is_held(self, project: ProjectId) -> bool:
        """Whether it is held in any."""
        for place in self._places:
            if await place.is_held(project):
                return True
        return False


class _Holds:
    def __init__(self, holds: Sequence[Hold]) -> None:
        self._holds = holds

    async def confirm(self) -> None:
        for hold in self._holds:
            await hold.confirm()
