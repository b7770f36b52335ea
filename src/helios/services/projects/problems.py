"""Shows the problems of a project file on a terminal, and as data."""

import unicodedata

from helios.errors import Problem

_INDENT = "    "
_TAB = "    "
_CUT = "..."
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_LONGEST_SOURCE = 1000


def render(problems: tuple[Problem, ...], width: int = 80) -> str:
    """The problems as lines of text for a terminal of `width` cells.

    A first line `path:line:column: message` that editors understand and no terminal should cut,
    the line of the file around the place, a caret line and the hint.
    """
    return "\n\n".join("\n".join(_block(problem, width)) for problem in problems)


def problem_to_json(problem: Problem) -> dict[str, str | int]:
    """A problem as plain data. Of a very long source line only the beginning is kept."""
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "width": problem.width,
        "message": problem.message,
        "hint": problem.hint,
        "source_line": problem.source_line[:_LONGEST_SOURCE],
    }


def cells(text: str) -> int:
    """How many cells of a terminal a text takes: two for each wide (Korean) character."""
    return sum(_cell(char) for char in text)


def _cell(char: str) -> int:
    if " " <= char <= "~":
        return 1
    if unicodedata.combining(char) or "\u1160" <= char <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def _visible(text: str) -> str:
    """The text without anything that could move the cursor or hide other text."""
    return "".join(
        "?" if unicodedata.category(char) in _HIDDEN else char for char in text.replace("\t", _TAB)
    )


def _block(problem: Problem, width: int) -> list[str]:
    lines = [f"{_visible(problem.place)}: {_visible(problem.message)}"]
    if problem.line and problem.source_line:
        lines += _source(problem, max(20, width - len(_INDENT)))
    if problem.hint:
        lines += _wrapped(_visible(problem.hint), max(20, width - 2))
    return lines


def _source(problem: Problem, room: int) -> list[str]:
    """The source line, cut to the room it has, and the carets below."""
    at = min(problem.column - 1, len(problem.source_line))
    # No character but a few combining ones is narrower than a cell: what is further away than
    # the room is wide cannot be shown, and is not looked at.
    near = problem.source_line[max(0, at - room) : at + room + 1]
    before = _visible(near[: min(at, room)])
    rest = near[min(at, room) :]
    marked, after = _visible(rest[: problem.width]) or " ", _visible(rest[problem.width :].rstrip())
    left_cut = at > room
    if left_cut or cells(before) + cells(marked) + cells(after) > room:
        before, marked, after = _fit(before, marked, after, room, left_cut)
    carets = "^" * max(1, cells(marked))
    return [f"{_INDENT}{before}{marked}{after}".rstrip(), f"{_INDENT}{' ' * cells(before)}{carets}"]


def _fit(before: str, marked: str, after: str, room: int, left_cut: bool) -> tuple[str, str, str]:
    marked = _head(marked, room // 2)
    keep = max(room // 3, room - cells(marked) - cells(after))
    if left_cut or cells(before) > keep:
        before = _CUT + _tail(before, keep - len(_CUT))
    left = room - cells(before) - cells(marked)
    if cells(after) > left:
        after = _head(after, left - len(_CUT)) + _CUT
    return before, marked, after


def _head(text: str, room: int) -> str:
    used = 0
    for index, char in enumerate(text):
        used += _cell(char)
        if used > room:
            return text[:index]
    return text


def _tail(text: str, room: int) -> str:
    return _head(text[::-1], room)[::-1]


def _wrapped(text: str, room: int) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and cells(line) + 1 + cells(word) > room:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [f"  {each}" for each in (*lines, line)]
