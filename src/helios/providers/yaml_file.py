"""YAML files written by people: every complaint names the file, the line and what would help."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from helios.errors import UsageError

# The C parser is ten times as fast and missing only where PyYAML was built without libyaml.
_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Step = str | int


@dataclass(frozen=True, slots=True)
class Document:
    """A file's text under the name people know it by."""

    name: str
    text: str

    def line_of(self, path: Sequence[Step]) -> int:
        """The line, from 1, where the value at this path begins."""
        node = yaml.compose(self.text, Loader=_LOADER)
        for step in path:
            if isinstance(node, yaml.MappingNode):
                found = [value for key, value in node.value if str(key.value) == str(step)]
                node = found[-1] if found else node
            elif isinstance(node, yaml.SequenceNode):
                node = node.value[int(step)]
        return int(node.start_mark.line) + 1 if node else 1


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a document that knows where it stands."""

    document: Document
    path: tuple[Step, ...]
    value: Any

    def fail(self, message: str, next_step: str = "") -> UsageError:
        """An error that names this place; the caller raises it."""
        where = "".join(f"[{s + 1}]" if isinstance(s, int) else f".{s}" for s in self.path)
        line = self.document.line_of(self.path)
        label = f" {where.removeprefix('.')}:" if where else ""
        return UsageError(f"{self.document.name}:{line}:{label} {message}", next_step=next_step)

    def fields(self, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, "Node"]:
        """The values of a mapping by key; unknown and missing keys are errors."""
        entries = self.entries()
        known = (*required, *optional)
        for key, node in entries.items():
            if key not in known:
                close = get_close_matches(key, known, n=1)
                hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known)}."
                raise node.fail(f"unknown key {key!r}", hint)
        for key in required:
            if key not in entries:
                raise self.fail(f"{key!r} is missing", f"Add `{key}:` here.")
        return entries

    def entries(self) -> dict[str, "Node"]:
        """The values of a mapping, whatever its keys."""
        if not isinstance(self.value, Mapping):
            raise self.fail(f"must be a mapping, not {_kind(self.value)}")
        return {
            str(key): Node(self.document, (*self.path, str(key)), value)
            for key, value in self.value.items()
        }

    def items(self) -> list["Node"]:
        """The values of a list."""
        if not isinstance(self.value, list):
            raise self.fail(f"must be a list, not {_kind(self.value)}")
        return [Node(self.document, (*self.path, i), v) for i, v in enumerate(self.value)]

    def string(self) -> str:
        """A text."""
        if not isinstance(self.value, str):
            raise self.fail(f"must be a text, not {_kind(self.value)}", "Put it in quotes.")
        return self.value

    def integer(self, least: int) -> int:
        """A whole number, at least `least`."""
        value = self.value
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.fail(f"must be a whole number of at least {least}, not {value!r}")
        return value

    def number(self) -> float:
        """A finite number that is not negative."""
        value = self.value
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not fits or not math.isfinite(value) or value < 0:
            raise self.fail(f"must be a number of at least 0, not {value!r}")
        return float(value)

    def day(self) -> date:
        """A date."""
        if not isinstance(self.value, date) or isinstance(self.value, datetime):
            raise self.fail(f"must be a date, not {self.value!r}", "Write it as 2026-11-01.")
        return self.value


def read_file(path: Path) -> Node:
    """The root of a YAML file.

    Raises:
        UsageError: the file cannot be read, is not UTF-8 or not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror or error}", next_step="Check the path and its permissions."
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: not UTF-8 (byte {error.start + 1})", next_step="Save the file as UTF-8."
        ) from error
    return read_text(str(path), text)


def read_text(name: str, text: str) -> Node:
    """The root of a YAML text.

    Raises:
        UsageError: it is not YAML.
    """
    try:
        value = yaml.load(text, Loader=_LOADER)  # noqa: S506 - one of the two safe loaders
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise UsageError(
            f"{place}: not valid YAML: {error.problem}", next_step="Mend this line."
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{name}: not valid YAML: {error}", next_step="Mend this file.") from error
    return Node(Document(name, text), (), value)


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "a text", type(None): "nothing"}
    return names.get(type(value), repr(value))
