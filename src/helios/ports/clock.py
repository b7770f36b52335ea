"""Time as a capability, so that tests can move it."""

from typing import Protocol


class Clock(Protocol):
    """The only source of time. `testing.clock` ships one that tests move."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
