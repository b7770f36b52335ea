"""A clock that tests move."""

import asyncio


class MovableClock:
    """Stands still until told to move; sleepers wake when their time has come."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._monotonic = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> float:
        """Seconds since 1970, UTC, as far as this clock knows."""
        return self._now

    def monotonic(self) -> float:
        """Seconds moved forward so far."""
        return self._monotonic

    def move(self, seconds: float) -> None:
        """Go forward, or back when negative (as a wall clock may); wakes who is due."""
        self._now += seconds
        self._monotonic += max(0.0, seconds)
        for due, event in self._sleepers:
            if due <= self._monotonic:
                event.set()

    async def sleep(self, seconds: float) -> None:
        """Wait until somebody has moved the clock far enough."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        event = asyncio.Event()
        sleeper = (self._monotonic + seconds, event)
        self._sleepers.append(sleeper)
        try:
            await event.wait()
        finally:
            self._sleepers.remove(sleeper)
