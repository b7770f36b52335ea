"""Collects everything wrong with one project file, each thing once and with its place."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Protocol

from helios.errors import Problem, ProjectFileError

LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What YAML takes for the end of a line; editors agree on the first three."""

_MOST_SUGGESTIONS = 25
_LONGEST_WORD = 100


class Spot(Protocol):
    """A place in the text: line and column count from 1, the width is in characters."""

    @property
    def line(self) -> int:
        """The line, from 1."""
        ...

    @property
    def column(self) -> int:
        """The column, from 1."""
        ...

    @property
    def width(self) -> int:
        """How many characters are meant."""
        ...


class Findings:
    """The problems found so far in a file, named as the user wrote its name."""

    def __init__(self, file: str, text: str = "") -> None:
        self.file = file
        self.lines = LINE_BREAK.split(text)
        self._found: dict[tuple[int, int, str], Problem] = {}
        self._suggestions_left = _MOST_SUGGESTIONS

    def add(self, spot: Spot | None, message: str, hint: str = "") -> None:
        """Note a problem; None means the file as a whole. A repeat at the same place is dropped."""
        if spot is None:
            self.add_at(0, 0, 1, message, hint)
        else:
            self.add_at(spot.line, spot.column, spot.width, message, hint)

    def add_at(self, line: int, column: int, width: int, message: str, hint: str = "") -> None:
        """The same for a place given in numbers; one behind the end becomes the last line."""
        line = min(line, len(self.lines))
        source = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        problem = Problem(self.file, line, column, message, hint, source, max(1, width))
        self._found.setdefault((line, column, message), problem)

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All of them, sorted by place."""
        return tuple(self._found[key] for key in sorted(self._found))

    @property
    def error(self) -> ProjectFileError:
        """All of them as one error; there must be at least one."""
        return ProjectFileError(self.problems)

    def suggest(self, word: str, known: Iterable[str]) -> str:
        """Did you mean: a hint, or nothing when no known word is close.

        Comparing is slow, so that a file full of unknown words gets suggestions for the first
        few only.
        """
        if self._suggestions_left <= 0 or len(word) > _LONGEST_WORD:
            return ""
        self._suggestions_left -= 1
        by_lower = {each.lower(): each for each in known}
        close = get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
        return f"Did you mean {quoted(by_lower[close[0]])}?" if close else ""


def quoted(text: str, most: int = 40) -> str:
    """A user's text inside a message: quoted, on one line, shortened."""
    shown = " ".join(text.split())
    return f'"{shown[: most - 3]}..."' if len(shown) > most else f'"{shown}"'
