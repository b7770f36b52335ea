"""Processes that die at one step of a call."""

from typing import Any


class Crash(BaseException):
    """The process is gone."""


class CrashingAt:
    """A port whose process dies before or after the nth use of one of its methods."""

    def __init__(self, inner: Any, method: str, *, after: bool, nth: int = 1) -> None:
        self._inner, self._method, self._after = inner, method, after
        self._left = nth

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name != self._method:
            return found

        async def dying(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left:
                return await found(*args, **kwargs)
            if self._after:
                await found(*args, **kwargs)
            raise Crash

        return dying
