"""Readings that many callers share for a moment, so that asking often costs little."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from helios.ports.clock import Clock

T = TypeVar("T")


class Shared(Generic[T]):
    """A reading of at most a certain age; whoever comes while it is being read waits for it.

    Where reading fails, all who waited are told, and the next to come tries again: a store that is
    away is asked once at a time, however many ask.
    """

    def __init__(self, read: Callable[[], Awaitable[T]], clock: Clock, *, lasts_s: float) -> None:
        self._read = read
        self._clock = clock
        self._lasts_s = lasts_s
        self._kept: tuple[T, float] | None = None
        self._reading: asyncio.Task[tuple[T, float]] | None = None

    async def get(self) -> tuple[T, float]:
        """The reading, and its age in seconds."""
        kept = self._kept
        if kept is None or self._clock.monotonic() - kept[1] > self._lasts_s:
            if self._reading is None:
                self._reading = asyncio.create_task(self._read_anew())
                self._reading.add_done_callback(_noted)
            # Who hangs up does not take the reading from the others.
            kept = await asyncio.shield(self._reading)
        return kept[0], self._clock.monotonic() - kept[1]

    def forget(self) -> None:
        """Something has changed: whoever asks from now on reads anew."""
        self._kept = self._reading = None

    async def _read_anew(self) -> tuple[T, float]:
        this = asyncio.current_task()
        began = self._clock.monotonic()
        try:
            fresh = (await self._read(), began)
            if self._reading is this:
                self._kept = fresh
            return fresh
        finally:
            if self._reading is this:
                self._reading = None


def _noted(reading: "asyncio.Task[object]") -> None:
    """An error that nobody stayed to hear is no error of the loop."""
    if not reading.cancelled():
        reading.exception()
