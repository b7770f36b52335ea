"""A copy of the budget's status that is quick to read. Never an authority: no decision reads it.

Promises every implementation keeps:

 1 what stands is replaced only by one who has seen it: a writer that wakes up late, with what was
   true a while ago, changes nothing that is newer
 2 no method fails because the mirror does; each answers in a small, bounded time
 3 who watches hears of what stands when the watching begins, and of everything put after that,
   save what is put while the mirror is away
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Found:
    """What stands under a name; None when nothing does."""

    text: bytes | None


class Put(Enum):
    """What became of a new text."""

    DONE = auto()
    REFUSED = auto()
    """Something else stands now than what the writer saw."""
    AWAY = auto()
    """Nobody knows: the mirror does not answer."""


class StatusMirror(Protocol):
    """Texts by name. Whoever reads one must check it: anybody may have written there."""

    async def look(self, name: str) -> Found | None:
        """What stands under a name; None when the mirror does not answer."""
        ...

    async def put(self, name: str, text: bytes, *, instead_of: Found) -> Put:
        """Let a text stand in place of what was found before it was composed, and tell watchers."""
        ...

    def watch(self, name: str) -> AsyncIterator[bytes]:
        """What stands, and every text put from now on, without an end."""
        ...

    async def close(self) -> None:
        """Let go of the mirror."""
        ...
