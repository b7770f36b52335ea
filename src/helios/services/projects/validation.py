"""Holds the tree of a file against the model, and words what does not fit for people."""

from collections.abc import Callable
from collections.abc import Mapping as Map
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from helios.services.projects.file_model import (
    FILE_VERSION,
    LONGEST_NAME,
    BudgetFile,
    DefaultsFile,
    GateFile,
    ModelsFile,
    ProjectFile,
    RepoFile,
    TaskFile,
)
from helios.services.projects.findings import Findings, Spot, quoted
from helios.services.projects.strict_yaml import Entry, Mapping, Node, Scalar, Sequence

Location = tuple[int | str, ...]

_SECTIONS: dict[int | str, type[BaseModel]] = {
    "repo": RepoFile,
    "budget": BudgetFile,
    "models": ModelsFile,
    "defaults": DefaultsFile,
}


def read_model(root: Mapping, findings: Findings) -> ProjectFile:
    """The file as a model; what does not fit is noted and left out of it.

    So the checks that follow can still look at everything that does fit.
    """
    data = _plain_mapping(root, findings)
    try:
        return ProjectFile.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _note(detail, root, findings)
            _leave_out(data, detail["loc"])
    fitting = {"helios": FILE_VERSION, "name": "-", "tasks": {}, **data}
    return ProjectFile.model_validate(fitting)


def describe(node: Node) -> str:
    """What stands there, in words."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, str):
        return f"a text ({quoted(node.text)})"
    if isinstance(node.value, bool):
        return node.text
    return f"a number ({node.text})"


def _plain_mapping(mapping: Mapping, findings: Findings) -> dict[str, Any]:
    """A mapping as plain data. Nothing in this file means something by being empty."""
    found: dict[str, Any] = {}
    for key, entry in mapping.entries.items():
        if isinstance(entry.value, Scalar) and entry.value.value is None:
            hint = "Write a value, or remove the line."
            findings.add(entry.key, f"{quoted(key)} has no value", hint)
        else:
            found[key] = _plain(entry.value, findings)
    return found


def _plain(node: Node, findings: Findings) -> object:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [_plain(item, findings) for item in node.items]
    return _plain_mapping(node, findings)


def _leave_out(data: dict[str, Any], loc: Location) -> None:
    """Take the key at fault away; a task at fault stays as an empty one, others may need it."""
    if loc[0] != "tasks" or len(loc) == 1:
        data.pop(str(loc[0]), None)
    elif len(loc) == 2:
        data["tasks"][loc[1]] = {}
    else:
        data["tasks"][loc[1]].pop(loc[2], None)


def _locate(root: Mapping, loc: Location) -> tuple[Node, Spot, Entry | None]:
    """The node of a pydantic location, where to point, and the last key on the way."""
    node: Node = root
    spot: Spot = root
    last: Entry | None = None
    for step in loc:
        if isinstance(node, Mapping) and str(step) in node.entries:
            last = node.entries[str(step)]
            node, spot = last.value, last.spot
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = spot = node.items[step]
        else:
            break
    return node, spot, last


def _note(detail: ErrorDetails, root: Mapping, findings: Findings) -> None:
    kind, loc = detail["type"], detail["loc"]
    node, spot, last = _locate(root, loc)
    if kind == "missing":
        _note_missing(root, loc, findings)
    elif kind == "extra_forbidden" and last is not None:
        known = list(_model_at(loc[:-1]).model_fields)
        hint = findings.suggest(last.key.text, known) or f"Known here: {', '.join(known)}."
        findings.add(last.key, f"unknown key {quoted(last.key.text)}", hint)
    elif kind == "literal_error":
        _note_choice(loc, node, spot, findings)
    else:
        message, hint = _word(detail, node)
        findings.add(spot, message, hint)


def _note_missing(root: Mapping, loc: Location, findings: Findings) -> None:
    key = str(loc[-1])
    node, spot, _ = _locate(root, loc[:-1])
    if isinstance(node, Mapping) and key in node.entries:
        return  # it is there without a value, which is noted already
    hint = f"Write `helios: {FILE_VERSION}` on the first line." if key == "helios" else ""
    findings.add(None if node is root else spot, f"the key {quoted(key)} is missing", hint)


def _note_choice(loc: Location, node: Node, spot: Spot, findings: Findings) -> None:
    field = str(loc[-1])
    known = [str(each) for each in get_args(_model_at(loc[:-1]).model_fields[field].annotation)]
    choices = ", ".join(known)
    if isinstance(node, Scalar) and isinstance(node.value, str):
        hint = findings.suggest(node.text, known) or f"Known: {choices}."
        findings.add(spot, f"unknown {field} {quoted(node.text)}", hint)
    else:
        findings.add(spot, f"expected one of {choices}, got {describe(node)}")


def _model_at(loc: Location) -> type[BaseModel]:
    """The model of the mapping at this location."""
    if not loc:
        return ProjectFile
    if "gates" in loc[1:] and isinstance(loc[-1], int):
        return GateFile
    return _SECTIONS.get(loc[0], TaskFile)


def _word(detail: ErrorDetails, node: Node) -> tuple[str, str]:
    """Message and hint of an error about a value."""
    loc = detail["loc"]
    field = next((str(step) for step in reversed(loc) if isinstance(step, str)), "")
    if loc[:1] == ("tasks",) and len(loc) == 2:
        field = "task"
    rule = _RULES.get(detail["type"])
    if rule is not None:
        return rule(field, node, detail.get("ctx", {}))
    message = detail["msg"]
    return message[:1].lower() + message[1:], ""


_Rule = Callable[[str, Node, Map[str, Any]], tuple[str, str]]


def _text(_field: str, node: Node, _about: Map[str, Any]) -> tuple[str, str]:
    hint = ""
    if isinstance(node, Scalar) and node.value is not None:
        hint = f"Put it in quotes: {quoted(node.text)}."
    return f"expected a text, got {describe(node)}", hint


def _list(field: str, node: Node, _about: Map[str, Any]) -> tuple[str, str]:
    of = {"gates": "commands", "each": "values"}.get(field, "texts")
    one = isinstance(node, Scalar) and isinstance(node.value, str)
    hint = f"Write it as a list: [{quoted(node.text)}]." if one and isinstance(node, Scalar) else ""
    return f"expected a list of {of}, got {describe(node)}", hint


def _integer(_field: str, node: Node, _about: Map[str, Any]) -> tuple[str, str]:
    return f"expected a whole number, got {describe(node)}", _unquote(node)


def _number(field: str, node: Node, _about: Map[str, Any]) -> tuple[str, str]:
    expected = "seconds or a length of time such as 10m" if field == "timeout" else "a number"
    return f"expected {expected}, got {describe(node)}", _unquote(node)


def _unquote(node: Node) -> str:
    if isinstance(node, Scalar) and node.text.strip().isdecimal():
        return "Write it without quotes."
    return ""


def _mapping(field: str, node: Node, _about: Map[str, Any]) -> tuple[str, str]:
    expected = {
        "gates": "a command or a mapping with `run`",
        "repo": "a path, or a mapping with `path` or `snapshot`",
        "task": "a mapping with `agent`, `run` or `action`",
        "tasks": "a mapping of task ids to tasks",
    }.get(field, "a mapping")
    return f"expected {expected}, got {describe(node)}", ""


def _range(field: str, node: Node, about: Map[str, Any]) -> tuple[str, str]:
    got = node.text if isinstance(node, Scalar) else describe(node)
    if field == "helios":
        return f"this Helios reads version {FILE_VERSION} of the file, not {got}", ""
    if "gt" in about:
        return f"{quoted(field)} must be more than {about['gt']:g}, got {got}", ""
    if "ge" in about:
        return f"{quoted(field)} must be at least {about['ge']:g}, got {got}", ""
    hint = "A share is a number from 0 to 1." if field == "strong_share" else ""
    return f"{quoted(field)} must be at most {about['le']:g}, got {got}", hint


def _blank(field: str, _node: Node, _about: Map[str, Any]) -> tuple[str, str]:
    if field == "name":
        return "a name is one line with at least one letter", ""
    return f"{quoted(field)} must not be blank", ""


def _long(field: str, node: Node, _about: Map[str, Any]) -> tuple[str, str]:
    length = len(node.text) if isinstance(node, Scalar) else 0
    return f"{quoted(field)} has {length} characters, at most {LONGEST_NAME} are allowed", ""


def _empty(field: str, _node: Node, _about: Map[str, Any]) -> tuple[str, str]:
    return f"{quoted(field)} must not be empty", "Give at least one value, or remove it."


def _item(_field: str, node: Node, _about: Map[str, Any]) -> tuple[str, str]:
    got = "an empty mapping" if isinstance(node, Mapping) and not node.entries else describe(node)
    if isinstance(node, Mapping) and node.entries:
        got = "a mapping of other things"
    return f"expected a value or a mapping of values, got {got}", ""


_RULES: dict[str, _Rule] = {
    "string_type": _text,
    "list_type": _list,
    "int_type": _integer,
    "float_type": _number,
    "dict_type": _mapping,
    "model_type": _mapping,
    "greater_than": _range,
    "greater_than_equal": _range,
    "less_than_equal": _range,
    "string_pattern_mismatch": _blank,
    "string_too_long": _long,
    "too_short": _empty,
    "item": _item,
}
