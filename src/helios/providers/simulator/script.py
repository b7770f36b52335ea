"""Recorded answers: a YAML file in which the first answer that fits a request is given.

    answers:
      - when: {contains: "Task: fix-gcd", turn: 1, model: haiku}
        tool: submit_patch
        input: {summary: ..., edits: [...]}
      - when: {contains: "인사"}
        text: 안녕하세요
        fault: [429, cut]

`contains` is looked for in everything the user said, `turn` is the number of user messages,
`model` is a part of the model's name. An answer by tool fits only a request that offers the tool.
`fault` names what goes wrong every time; a list goes wrong once for each name, in order, and then
the answer is given.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import normalize

from helios.providers.simulator.faults import REFUSALS, Fault
from helios.providers.simulator.tokens import CALL_OVERHEAD, count_json, count_text
from helios.providers.yaml_file import Node, read_file


@dataclass(frozen=True, slots=True)
class Conversation:
    """What an answer is chosen by."""

    model: str
    user_text: str
    turn: int
    tools: frozenset[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A recorded answer: a text or a tool's input, with its length in tokens."""

    text: str = ""
    tool: str | None = None
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    contains: str
    turn: int | None
    model: str
    answer: Answer
    faults: tuple[Fault, ...]
    always: bool

    def fits(self, asked: Conversation) -> bool:
        """Everything but the text, which is dear to search."""
        turn_fits = self.turn is None or self.turn == asked.turn
        tool_fits = self.answer.tool is None or self.answer.tool in asked.tools
        return turn_fits and tool_fits and self.model in asked.model


class Script:
    """Answers in order; remembers how often each list of faults has been met."""

    def __init__(self, entries: Sequence[_Entry] = ()) -> None:
        self._entries = tuple(entries)
        self._met = [0] * len(self._entries)

    def find(self, asked: Conversation) -> tuple[Answer, Fault | None] | None:
        """The first answer that fits, and what goes wrong with it this time."""
        text = normalize("NFC", asked.user_text)
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
    fields = node.fields(required=("when",), optional=("tool", "input", "text", "fault"))
    when = fields["when"].fields(required=("contains",), optional=("turn", "model"))
    faults, always = _faults(fields["fault"]) if "fault" in fields else ((), True)
    # An answer that is always refused needs no content.
    refused = always and bool(faults) and faults[0] in REFUSALS
    return _Entry(
        contains=normalize("NFC", when["contains"].string()),
        turn=when["turn"].integer(1) if "turn" in when else None,
        model=when["model"].string() if "model" in when else "",
        answer=_answer(node, fields, refused=refused),
        faults=faults,
        always=always,
    )


def _answer(node: Node, fields: Mapping[str, Node], *, refused: bool) -> Answer:
    given = {"text", "tool", "input"} & fields.keys()
    if given == {"text"}:
        text = fields["text"].string()
        return Answer(text=text, tokens=max(1, count_text(text)))
    if given == {"tool", "input"}:
        tool, content = fields["tool"].string(), _json_object(fields["input"])
        tokens = CALL_OVERHEAD + count_text(tool) + count_json(content)
        return Answer(tool=tool, input=content, tokens=tokens)
    if not given and refused:
        return Answer()
    raise node.fail("needs `text`, or `tool` and `input`", "Give the answer one of the two forms.")


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
    if name not in set(Fault):
        raise node.fail(f"unknown fault {name!r}", f"Known faults: {', '.join(Fault)}.")
    return Fault(name)
