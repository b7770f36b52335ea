"""What the suites have in common."""

import inspect
from collections.abc import Awaitable

from helios.errors import HeliosError


class Suite:
    """A list of checks; each wants a back end of its own."""

    @classmethod
    def checks(cls) -> tuple[str, ...]:
        """The names of all checks, in the order of the promises."""
        found = inspect.getmembers(cls, inspect.iscoroutinefunction)
        return tuple(name for name, _ in found if name.startswith("check_"))


async def refused(asked: Awaitable[object], error: type[HeliosError]) -> HeliosError:
    """Demand that a call fails in this way; the error."""
    try:
        answer = await asked
    except error as raised:
        return raised
    raise AssertionError(f"not refused with {error.__name__}, but answered with {answer!r}")
