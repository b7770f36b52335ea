"""Recorded answers: a YAML file in which the first answer that fits a request is given.

    answers:
      - when: {contains: "Task: fix-gcd", turn: 1, model: haiku}
        tool: submit_patch
        input: {summary: ..., edits: [...]}
      - when: {contains: "인사"}
        text: 안녕하세요
        fault: [429, cut]
      - when: {contains: "list the files", results: 0, system: "You are Claude Code"}
        content:
          - thinking: I should look first.
          - text: Let me look.
          - {tool: Bash, input: {command: ls}}

`contains` is looked for in everything the user said, `last` in the last message alone, `system` in
the system prompt; `turn` is the number of user messages, `results` that of the tool results among
them, `model` is a part of the model's name. An answer by tool fits only a request that offers the
tool. `fault` names what goes wrong every time; a list goes wrong once for each name, in order, and
then the answer is given.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

from helios.providers.simulator.content import (
    Answer,
    Block,
    make_answer,
    text_block,
    thinking_block,
    tool_block,
)
from helios.providers.simulator.faults import REFUSALS, Fault, fault_named
from helios.providers.yaml_file import Node, read_file

_TEXTS = ("contains", "last", "system")


@dataclass(frozen=True, slots=True)
class Conversation:
    """What an answer is chosen by."""

    model: str
    user_text: str
    turn: int
    tools: frozenset[str]
    last: str = ""
    results: int = 0
    system: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    contains: str
    last: str
    system: str
    turn: int | None
    results: int | None
    model: str
    answer: Answer
    faults: tuple[Fault, ...]
    always: bool

    def fits(self, asked: Conversation) -> bool:
        """Everything but the whole text, which is dear to search."""
        counted = self.turn in (None, asked.turn) and self.results in (None, asked.results)
        named = self.answer.tools <= asked.tools and self.model in asked.model
        return counted and named and self.last in asked.last and self.system in asked.system


class Script:
    """Answers in order; remembers how often each list of faults has been met."""

    def __init__(self, entries: Sequence[_Entry] = ()) -> None:
        self._entries = tuple(entries)
        self._met = [0] * len(self._entries)

    def find(self, asked: Conversation) -> tuple[Answer, Fault | None] | None:
        """The first answer that fits, and what goes wrong with it this time."""
        if not self._entries:
            return None
        text = normalize("NFC", asked.user_text)
        last, system = normalize("NFC", asked.last), normalize("NFC", asked.system)
        asked = replace(asked, last=last, system=system)
        searched: dict[str, bool] = {}
        for index, entry in enumerate(self._entries):
            if not entry.fits(asked):
                continue
            if entry.contains not in searched:
                searched[entry.contains] = entry.contains in text
            if searched[entry.contains]:
                return entry.answer, self._fault(index)
        return None

    def _fault(self, index: int) -> Fault | None:
        entry = self._entries[index]
        if entry.always:
            return entry.faults[0] if entry.faults else None
        met = self._met[index]
        self._met[index] += 1
        return entry.faults[met] if met < len(entry.faults) else None


def load_script(path: Path) -> Script:
    """The answers of a file.

    Raises:
        UsageError: the file is missing or wrong; names the place and the cure.
    """
    answers = read_file(path).fields(required=("answers",), optional=("about",))["answers"]
    items = answers.items()
    if not items:
        raise answers.fail("there are no answers", "Add at least one, with `when` and `text`.")
    return Script([_entry(node) for node in items])


def _entry(node: Node) -> _Entry:
    fields = node.fields(("when",), ("tool", "input", "text", "content", "fault"))
    when = fields["when"].fields(("contains",), ("last", "system", "turn", "results", "model"))
    faults, always = _faults(fields["fault"]) if "fault" in fields else ((), True)
    # An answer that is always refused needs no content.
    refused = always and bool(faults) and faults[0] in REFUSALS
    texts = {key: normalize("NFC", when[key].string()) for key in _TEXTS if key in when}
    return _Entry(
        contains=texts["contains"],
        last=texts.get("last", ""),
        system=texts.get("system", ""),
        turn=when["turn"].integer(1) if "turn" in when else None,
        results=when["results"].integer(0) if "results" in when else None,
        model=when["model"].string() if "model" in when else "",
        answer=_answer(node, fields, refused=refused),
        faults=faults,
        always=always,
    )


def _answer(node: Node, fields: Mapping[str, Node], *, refused: bool) -> Answer:
    given = {"text", "tool", "input", "content"} & fields.keys()
    if given == {"content"}:
        items = fields["content"].items()
        return make_answer(*(_part(item) for item in items))
    if given in ({"text"}, {"tool", "input"}):
        return make_answer(_block(fields))
    if not given and refused:
        return Answer()
    raise node.fail(
        "needs `text`, or `tool` and `input`, or `content`",
        "Give the answer one of the two forms, or a list of such parts under `content`.",
    )


def _part(node: Node) -> Block:
    fields = node.fields((), ("text", "thinking", "tool", "input"))
    if set(fields) not in ({"text"}, {"thinking"}, {"tool", "input"}):
        raise node.fail("must be one `text`, one `thinking`, or a `tool` and its `input`")
    return _block(fields)


def _block(fields: Mapping[str, Node]) -> Block:
    if "text" in fields:
        return text_block(fields["text"].string())
    if "thinking" in fields:
        return thinking_block(fields["thinking"].string())
    return tool_block(fields["tool"].string(), _json_object(fields["input"]))


def _json_object(node: Node) -> dict[str, Any]:
    """A mapping as JSON can carry it."""
    node.entries()
    try:
        text = json.dumps(node.value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise node.fail(
            f"cannot be written as JSON: {error}", "Put dates and special values in quotes."
        ) from error
    content: dict[str, Any] = json.loads(text)
    return content


def _faults(node: Node) -> tuple[tuple[Fault, ...], bool]:
    """The named faults, and whether the first one happens every time."""
    if isinstance(node.value, list):
        return tuple(_fault(item) for item in node.items()), False
    return (_fault(node),), True


def _fault(node: Node) -> Fault:
    name = str(node.value)
    fault = fault_named(name)
    if fault is None:
        raise node.fail(f"unknown fault {name!r}", f"Known faults: {', '.join(Fault)}.")
    return fault
