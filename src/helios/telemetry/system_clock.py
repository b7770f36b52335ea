"""The real clock: the one home of the calls that ask the machine for the time."""

import time


class SystemClock:
    """Time as this machine tells it."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""
        return time.time()  # noqa: TID251

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        return time.monotonic()  # noqa: TID251

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        import asyncio  # here: who only asks for the time starts 50 ms sooner

        await asyncio.sleep(seconds)
