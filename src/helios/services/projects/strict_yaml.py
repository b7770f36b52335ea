"""A strict subset of YAML, read into a tree whose nodes know their places.

Mappings with text keys, lists, and plain, quoted and block texts. Only `true` and `false` are
booleans, only decimal numbers are numbers, only nothing, `~` and `null` are nothing; all else,
`yes` and `2026-01-01` among it, is text. Anchors, aliases, tags, merge keys, directives and
further documents are refused: what a file says must be readable where it stands.
"""

import math
import re
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import yaml

from helios.services.projects.findings import LINE_BREAK, Findings, quoted
from helios.services.projects.yaml_errors import explain

DEEPEST = 50

ScalarValue = str | int | float | bool | None


class Scalar(NamedTuple):
    """A single value. `text` is what was written, `value` what it means."""

    line: int
    column: int
    width: int
    text: str
    value: ScalarValue


class Sequence(NamedTuple):
    """A list."""

    line: int
    column: int
    width: int
    items: tuple["Node", ...]


class Mapping(NamedTuple):
    """Keys and values; of a repeated key the first counts."""

    line: int
    column: int
    width: int
    entries: dict[str, "Entry"]


Node = Scalar | Sequence | Mapping


class Entry(NamedTuple):
    """A key and its value."""

    key: Scalar
    value: Node

    @property
    def spot(self) -> Node:
        """Where a caret helps most: the value when it stands beside its key, else the key."""
        beside = self.value.line == self.key.line and self.value.width > 0
        return self.value if beside else self.key


_LOADER: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)

_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_NUMBER_STARTS = frozenset("+-.0123456789")
_WORDS: dict[str, ScalarValue] = {"true": True, "false": False, "null": None, "~": None, "": None}
_LONGEST_NUMBER = 18


def parse(
    text: str,
    findings: Findings,
    loader: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = _LOADER,
) -> Node | None:
    """The tree of the text; None when `findings` got a problem that leaves no tree to look at.

    Duplicate keys are noted and leave a tree.
    """
    if bad := _UNPRINTABLE.search(text):
        before = LINE_BREAK.split(text[: bad.start()])
        message = f"the character U+{ord(bad.group()):04X} cannot be in a text file"
        findings.add_at(len(before), len(before[-1]) + 1, 1, message, "Delete it.")
        return None
    builder = _Builder(findings)
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except _Unreadable:
        return None
    except yaml.MarkedYAMLError as error:
        explain(error, findings)
        return None
    if builder.root is None and not builder.broken:
        findings.add(None, "the file says nothing", "`helios init` writes one to begin with.")
    return None if builder.broken else builder.root


def _start(event: yaml.Event) -> yaml.Mark:
    return cast("yaml.Mark", event.start_mark)  # every event of a parser has its marks


def _end(event: yaml.Event) -> yaml.Mark:
    return cast("yaml.Mark", event.end_mark)


class _Unreadable(Exception):
    """What follows cannot be understood any more; never leaves this module."""


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    start: yaml.CollectionStartEvent
    is_mapping: bool
    items: list[Node] = field(default_factory=list[Node])
    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    key: Scalar | None = None


class _Builder:
    """Makes nodes of events. `broken` means that a part of the tree is missing."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._open: list[_Open] = []
        self._documents = 0
        self.root: Node | None = None
        self.broken = False

    def take(self, event: yaml.Event) -> None:
        """The next event."""
        if isinstance(event, yaml.ScalarEvent):
            if event.anchor is not None or event.tag is not None:
                self._refuse_decoration(event)
            self._add_scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            if event.anchor is not None or event.tag is not None:
                self._refuse_decoration(event)
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._add(self._end(event))
        elif isinstance(event, yaml.AliasEvent):
            message = "aliases (*name) are not allowed"
            hint = "Write the value out, or put a text that begins with * in quotes."
            self._refuse(event, message, hint)
            self._add(self._scalar(event, "", None))
        elif isinstance(event, yaml.DocumentStartEvent):
            self._document(event)

    def _document(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            hint = "A project file is one document: remove the line `---` and what follows."
            self._refuse(event, "a second document begins here", hint)
            raise _Unreadable
        if event.version or event.tags:
            self._refuse(event, "directives (%...) are not allowed", "Remove the line.")

    def _refuse(self, event: yaml.Event, message: str, hint: str) -> None:
        mark = _start(event)
        self._findings.add_at(
            mark.line + 1, mark.column + 1, self._width(event, mark), message, hint
        )
        self.broken = True

    def _refuse_decoration(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.anchor is not None:
            message = "anchors (&name) are not allowed"
            self._refuse(event, message, "Write the value out wherever it is needed.")
        if event.tag is not None:
            message = "tags (!name) are not allowed"
            self._refuse(event, message, "Put a text that begins with ! in quotes.")

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        into = self._open[-1] if self._open else None
        if into is not None and into.is_mapping and into.key is None:
            hint = "Put a text that begins with { or [ in quotes."
            self._refuse(event, "a key must be a text, not a list or a mapping", hint)
            raise _Unreadable
        if len(self._open) >= DEEPEST:
            self._refuse(event, f"more than {DEEPEST} levels deep", "Nothing here nests so deep.")
            raise _Unreadable
        self._open.append(_Open(event, isinstance(event, yaml.MappingStartEvent)))

    def _end(self, event: yaml.CollectionEndEvent) -> Node:
        done = self._open.pop()
        start, end = _start(done.start), _end(event)
        one_line = done.start.flow_style and end.line == start.line
        width = end.column - start.column if one_line else 1
        if done.is_mapping:
            return Mapping(start.line + 1, start.column + 1, width, done.entries)
        return Sequence(start.line + 1, start.column + 1, width, tuple(done.items))

    def _add_scalar(self, event: yaml.ScalarEvent) -> None:
        text = event.value
        if event.style == '"' and (bad := _CONTROL.search(text)):
            message = f"the character U+{ord(bad.group()):04X} is not allowed in a text"
            self._refuse(event, message, "Remove the escape that makes it.")
        plain = event.implicit[0]
        into = self._open[-1] if self._open else None
        if into is not None and into.is_mapping and into.key is None:
            into.key = self._scalar(event, text, text)
            if plain and text == "<<":
                hint = "Write the keys out; `defaults` holds what all tasks share."
                self._refuse(event, "merge keys (<<) are not allowed", hint)
            return
        self._add(self._scalar(event, text, self._meaning(event) if plain else text))

    def _add(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        into = self._open[-1]
        if not into.is_mapping:
            into.items.append(node)
        elif into.key is None:  # an alias where a key should be: refused already
            raise _Unreadable
        else:
            key, into.key = into.key, None
            entry = Entry(key, node)
            first = into.entries.setdefault(key.text, entry)
            if first is not entry:
                self._refuse_twin(first.key, key)

    def _refuse_twin(self, first: Scalar, again: Scalar) -> None:
        message = (
            f"duplicate key {quoted(again.text)}: first on line {first.line}, "
            f"again on line {again.line}"
        )
        self._findings.add(again, message, "Remove one of the two.")

    def _scalar(self, event: yaml.Event, text: str, value: ScalarValue) -> Scalar:
        start = _start(event)
        return Scalar(start.line + 1, start.column + 1, self._width(event, start), text, value)

    def _width(self, event: yaml.Event, start: yaml.Mark) -> int:
        end = _end(event)
        if start.line == end.line:
            return end.column - start.column
        return len(self._findings.lines[start.line].rstrip()) - start.column

    def _meaning(self, event: yaml.ScalarEvent) -> ScalarValue:
        text: str = event.value
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in _NUMBER_STARTS:
            return text
        if _INTEGER.fullmatch(text):
            if len(text) <= _LONGEST_NUMBER:
                return int(text)
        elif _FLOAT.fullmatch(text):
            number = float(text)
            if math.isfinite(number):
                return number
        else:
            return text
        self._refuse(event, "this number is too large", "Put it in quotes if it is a text.")
        return None
