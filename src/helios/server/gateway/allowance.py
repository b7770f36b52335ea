"""How many bytes of bodies this process holds at once, and whose turn it is for more.

Bodies are many and large before anything about them is known: whether they are admitted is decided
when they are there. Without a common bound a hundred of 32 MB would take the machine's memory.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

UNCOUNTED_BYTES = 256 * 1024
"""As much as may have been read of a body before anybody decides: less is not counted."""
WAIT_S = 20.0
"""So long a body waits for room, unread; clients accept 75 s of silence."""


class NoRoomLeft(Exception):
    """Others hold what there is, and gave nothing back in time."""


class Share:
    """What one request holds of an allowance, until it is over.

    `covers` is how many bytes of its body may be read.
    """

    __slots__ = ("_allowance", "_kept", "covers", "held")

    def __init__(self, allowance: "Allowance") -> None:
        self._allowance = allowance
        self._kept = False
        self.held = 0
        self.covers = UNCOUNTED_BYTES

    async def grow(self, size: int) -> None:
        """Hold `size` bytes; waits for its turn while there is no room.

        Raises:
            NoRoomLeft: there was none in time.
        """
        await self._allowance.take(self, size)
        self.covers = self.held

    def shrink(self, size: int) -> None:
        """No more than `size` bytes are needed."""
        if size < self.held:
            self._allowance.give_back(self, self.held - size)

    def keep_until(self, task: asyncio.Task[None]) -> None:
        """The body lives as long as a task, which ends after the request."""
        if self.held:
            self._kept = True
            task.add_done_callback(lambda _: self.shrink(0))

    def close(self) -> None:
        """The request is over."""
        if self.held and not self._kept:
            self.shrink(0)


@dataclass(frozen=True, slots=True, eq=False)
class _Claim:
    share: Share
    size: int
    turn: asyncio.Event


class Allowance:
    """Room for bodies. First come, first served: small ones never overtake a large one.

    When all that is held belongs to requests that wait for more, none of them can end: then the
    first of them may go beyond the allowance, at once as far as any body goes. It never waits
    again, so there is one at most, and no more is ever held than the allowance and one body. That
    is also how a body larger than the allowance is taken.

    Args:
        most_bytes: the allowance.
        largest: how many bytes no body exceeds.
    """

    def __init__(self, most_bytes: int, *, largest: int) -> None:
        self._most = most_bytes
        self._largest = largest
        self._stuck = 0
        self._waiting: deque[_Claim] = deque()
        self.held = 0

    async def take(self, share: Share, size: int) -> None:
        """Let a share hold `size` bytes or more.

        Raises:
            NoRoomLeft: there was no room in time.
        """
        claim = _Claim(share, size, asyncio.Event())
        self._waiting.append(claim)
        self._stuck += share.held
        self._serve()
        if claim.turn.is_set():
            return
        try:
            async with asyncio.timeout(WAIT_S):
                await claim.turn.wait()
        except TimeoutError:
            raise NoRoomLeft from None
        finally:
            if claim in self._waiting:
                self._waiting.remove(claim)
                self._stuck -= share.held
                self._serve()

    def give_back(self, share: Share, size: int) -> None:
        """So many bytes of a share are free again."""
        share.held -= size
        self.held -= size
        self._serve()

    def _serve(self) -> None:
        while self._waiting:
            claim = self._waiting[0]
            share, size = claim.share, claim.size
            if self.held - share.held + size > self._most:
                if self.held > self._stuck:
                    return
                size = self._largest
            self._waiting.popleft()
            self._stuck -= share.held
            self.held += size - share.held
            share.held = size
            # Also when it was cancelled just now: its share is closed next.
            claim.turn.set()
