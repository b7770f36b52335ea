"""Answers that are made up, for load tests and for clients that need some answer; opt-in.

A text begins with `simulated: `, but where it must be JSON. `echo` says again what the user said
last; `lorem` is as long as the lengths say. Where the request insists on a tool, the tool is called
with the smallest input its schema allows. The same request gets the same answer.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from helios.providers.simulator.content import Answer, Block, make_answer, text_block, tool_block
from helios.providers.simulator.latency import Lengths
from helios.providers.simulator.tokens import count_text, pieces

PREFIX = "simulated: "
_ECHO_CHARACTERS = 4_000
_WORDS = (
    " lorem ipsum dolor sit amet elit sed do eius tempor ut labore et dolore magna aliqua ad minim"
    " veniam quis nisi ea duis aute irure in velit esse cillum eu fugiat nulla sint non sunt culpa"
    " qui mollit anim id est"
)
_DEEPEST = 12


class AnswerMode(StrEnum):
    """What is said where no recorded answer fits."""

    REFUSE = "refuse"
    ECHO = "echo"
    LOREM = "lorem"


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes up answers."""

    mode: AnswerMode = AnswerMode.REFUSE
    lengths: Lengths = field(default_factory=Lengths)
    seed: int = 0

    def make(
        self, last: str, digest: str, forced: tuple[str, Any] | None = None, schema: object = None
    ) -> Answer | None:
        """An answer, or None where none shall be made up.

        Args:
            last: what the user said last.
            digest: the request's hexadecimal hash.
            forced: name and schema of the tool that the request insists on.
            schema: what a text must be valid against; such a text is JSON and nothing else.
        """
        if self.mode is AnswerMode.REFUSE:
            return None
        if forced is not None:
            name, schema = forced
            sample = smallest(schema)
            return make_answer(tool_block(name, sample if isinstance(sample, dict) else {}))
        if schema is not None:
            return make_answer(text_block(json.dumps(smallest(schema), ensure_ascii=False), ""))
        if self.mode is AnswerMode.ECHO:
            return make_answer(text_block(last[:_ECHO_CHARACTERS], PREFIX))
        return make_answer(_lorem(self.lengths.draw(self.seed, digest)))


def smallest(schema: object, depth: int = 0) -> Any:
    """The smallest value that a plain JSON schema allows; texts say `simulated`."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return None
    if "const" in schema:
        return schema["const"]
    for key in ("enum", "examples"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            return smallest(schema[key][0], depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return _of_kind(kind[0] if isinstance(kind, list) and kind else kind, schema, depth)


def _of_kind(kind: object, schema: Mapping[str, Any], depth: int) -> Any:
    match kind:
        case "object":
            known = schema.get("properties") or {}
            names = schema.get("required") or ()
            return {name: smallest(known.get(name, {}), depth + 1) for name in names}
        case "array":
            least = int(schema.get("minItems") or 0)
            return [smallest(schema.get("items", {}), depth + 1) for _ in range(least)]
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case "null":
            return None
        case _:
            return "simulated".ljust(int(schema.get("minLength") or 0), ".")


def _lorem(tokens: int) -> Block:
    """A text of so many tokens, at least those of its prefix; each word is one."""
    begun = PREFIX.rstrip()
    words = max(1, tokens - count_text(begun))
    once = tuple(pieces(_WORDS))
    whole, rest = divmod(words, len(once))
    text = begun + _WORDS * whole + "".join(once[:rest])
    return Block("text", text, count_text(begun) + words)
