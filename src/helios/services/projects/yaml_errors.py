"""Says in plain words what a YAML parser means.

The parser names the rule it was applying, people need the cause; the text around the place tells
most causes apart. Both of PyYAML's parsers are understood: the C one and the one in Python.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from helios.services.projects.findings import Findings

_LONGEST_KEY = 1024


@dataclass(frozen=True, slots=True)
class _Trouble:
    """What the parser said, and where. Lines and columns count from 0 here."""

    said: str
    line: int
    column: int
    began_line: int
    began_column: int
    lines: list[str]

    @property
    def source(self) -> str:
        return self.lines[self.line] if self.line < len(self.lines) else ""

    @property
    def before(self) -> str:
        return self.source[: self.column]

    @property
    def char(self) -> str:
        return self.source[self.column : self.column + 1]


@dataclass(frozen=True, slots=True)
class _Finding:
    line: int
    column: int
    message: str
    hint: str = ""
    width: int = 1


def explain(error: yaml.MarkedYAMLError, findings: Findings) -> None:
    """Note what a parser's error means."""
    mark = error.problem_mark or error.context_mark
    began = error.context_mark or mark
    trouble = _Trouble(
        " ".join(part for part in (error.problem, error.context) if part),
        mark.line if mark else 0,
        mark.column if mark else 0,
        began.line if began else 0,
        began.column if began else 0,
        findings.lines,
    )
    found = _tab(trouble) or _by_rule(trouble)
    last = len(findings.lines)
    findings.add_at(
        min(found.line + 1, last), found.column + 1, found.width, found.message, found.hint
    )


def _tab(trouble: _Trouble) -> _Finding | None:
    indentation = re.match(r"[ \t]*", trouble.source)
    at = indentation.group().find("\t") if indentation else -1
    if at < 0:
        return None
    return _Finding(trouble.line, at, "a tab in the indentation", "Indent with spaces only.")


def _by_rule(trouble: _Trouble) -> _Finding:
    for pattern, rule in _RULES:
        if re.search(pattern, trouble.said):
            return rule(trouble)
    said = re.sub(r"\s+", " ", trouble.said)
    return _Finding(trouble.line, trouble.column, f"this cannot be read: {said}")


def _colon(trouble: _Trouble) -> _Finding:
    """A colon where no key can be ("mapping values are not allowed")."""
    if ":" in trouble.before:
        message = 'a ": " inside a text that is not in quotes'
        return _Finding(trouble.line, trouble.column, message, "Put the whole text in quotes.")
    above = trouble.line - 1
    while above > 0 and not trouble.lines[above].strip():
        above -= 1
    if glued := _glued(trouble, above):
        return glued
    at = len(trouble.source) - len(trouble.source.lstrip())
    if trouble.column - at > _LONGEST_KEY:
        message = f"a key has at most {_LONGEST_KEY:,} characters"
        return _Finding(trouble.line, at, message, "Shorten it.", trouble.column - at)
    message = "this line is indented deeper than the lines it belongs to"
    hint = "Keys of one mapping start in the same column."
    return _Finding(trouble.line, at, message, hint, max(1, trouble.column - at))


def _glued(trouble: _Trouble, line: int) -> _Finding | None:
    """A colon with no space after it, on this line."""
    found = re.match(r"\s*[^\s:#\"']+(:)\S", trouble.lines[line]) if line >= 0 else None
    if found is None:
        return None
    message = "a space is missing after the colon"
    return _Finding(line, found.start(1), message, 'Write "key: value".')


def _expected_key(trouble: _Trouble) -> _Finding:
    if trouble.char in {"]", "}"} and trouble.char:
        message = f"this {trouble.char} closes nothing"
        hint = "Remove it, or put the text it belongs to in quotes."
        return _Finding(trouble.line, trouble.column, message, hint)
    if trouble.before.strip():
        message = "unexpected text after the end of a value"
        width = len(trouble.source.rstrip()) - trouble.column
        hint = "Put the whole value in one pair of quotes."
        return _Finding(trouble.line, trouble.column, message, hint, max(1, width))
    if trouble.char == "-":
        message, hint = "a list item where a key should be", 'Write "key: value", or indent it.'
    elif trouble.char == ":":
        message, hint = "a key is missing before the colon", 'Write "key: value".'
    else:
        message = "this indentation fits none of the lines above"
        hint = "Keys of one mapping start in the same column."
    return _Finding(trouble.line, trouble.column, message, hint)


def _no_colon(trouble: _Trouble) -> _Finding:
    line, column = trouble.began_line, trouble.began_column
    if glued := _glued(trouble, line):
        return glued
    width = len(trouble.lines[line].rstrip()) - column
    hint = 'Write "key: value"; the lines of a text begun with | or > must be indented.'
    return _Finding(line, column, "expected a key and a colon", hint, max(1, width))


def _never_closed(trouble: _Trouble) -> _Finding:
    line, column = trouble.began_line, trouble.began_column
    opener = trouble.lines[line][column : column + 1]
    if "quoted" not in trouble.said and trouble.line == line:
        closer = {"[": "]", "{": "}"}.get(opener, "the end")
        message = f"expected , or {closer}"
        hint = "Put a text with commas, colons or brackets in quotes."
        return _Finding(trouble.line, trouble.column, message, hint)
    return _Finding(line, column, f"this {opener} is never closed", "Close it where it should end.")


def _bad_start(trouble: _Trouble) -> _Finding:
    message = f"a text cannot begin with {trouble.char} unless it is in quotes"
    return _Finding(trouble.line, trouble.column, message, "Put the whole text in quotes.")


def _bad_alias(trouble: _Trouble) -> _Finding:
    line, column = trouble.began_line, trouble.began_column
    word = re.match(r"[^\s,\]}]*", trouble.lines[line][column:])
    width = len(word.group()) if word else 1
    opener = trouble.lines[line][column : column + 1]
    message = f"a text that begins with {opener} must be in quotes"
    shown = trouble.lines[line][column : column + width]
    return _Finding(line, column, message, f'Write "{shown}" with the quotes.', max(1, width))


def _here(message: str, hint: str) -> Callable[[_Trouble], _Finding]:
    def rule(trouble: _Trouble) -> _Finding:
        return _Finding(trouble.line, trouble.column, message, hint)

    return rule


_RULES: tuple[tuple[str, Callable[[_Trouble], _Finding]], ...] = (
    (
        r"'-' indicator|<block end>.* block collection",
        _here("a key where a list item should be", 'Begin each item with "- ".'),
    ),
    (r"mapping values are not allowed", _colon),
    (r"expected key|expected <block end>", _expected_key),
    (r"expected ':'", _no_colon),
    (r"unexpected end of stream|unexpected document|expected ',' or", _never_closed),
    (r"cannot start any token|mapping keys are not allowed", _bad_start),
    (r"alphabetic or numeric character.* (alias|anchor)", _bad_alias),
    (
        r"node content",
        _here("a value is missing here", "Remove a comma too many, or close the bracket."),
    ),
    (
        r"sequence entries are not allowed",
        _here("a list cannot begin on this line", "Begin it on the next line, indented."),
    ),
    (r"tag", _here("tags (!name) are not allowed", "Put a text that begins with ! in quotes.")),
    (
        r"escape|hexdecimal|hexadecimal",
        _here("unknown escape in a double-quoted text", r"Write \\ for \, or use single quotes."),
    ),
    (
        r"comment or (a )?line break|chomping|indentation indicator",
        _here("text right after | or >", "Begin the text on the next line, indented."),
    ),
    (
        r"YAML document|directive",
        _here("directives (%...) are not allowed", "Put a text that begins with % in quotes."),
    ),
    (
        r"<document start>",
        _here("a second document begins here", "A project file is one document."),
    ),
)
