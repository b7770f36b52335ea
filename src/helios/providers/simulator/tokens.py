"""How many tokens a request has, near enough and always the same.

Counts words, numbers and punctuation much as the real tokenizers do: an English word is one or two
tokens, a Korean syllable is one. Every token takes at least one character of the text, so there are
never more tokens than bytes of UTF-8, which is the bound that Helios reserves.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_PIECE = re.compile(
    r" ?[A-Za-z]{1,6}|[0-9]{1,3}| ?[^\x00-\x7f\s]| ?[!-/:-@\[-`{-~]{1,2}|\s{1,8}|.", re.DOTALL
)
_CHUNK = 65_536

MESSAGE_OVERHEAD = 8
"""Roles and framing of a request."""
TOOL_OVERHEAD = 346
"""The provider's own prompt for a forced tool, as its documentation states it."""
CALL_OVERHEAD = 12
"""Framing of a tool call in an answer."""


def count_text(text: str) -> int:
    """The tokens of a text."""
    # In chunks, because the list of all pieces of a 20 MB text takes a gigabyte.
    starts = range(0, len(text), _CHUNK)
    return sum(len(_PIECE.findall(text, start, start + _CHUNK)) for start in starts)


def pieces(text: str) -> Iterator[str]:
    """The text, token by token."""
    for found in _PIECE.finditer(text):
        yield found.group()


def count_json(value: object) -> int:
    """The tokens of a value written as JSON."""
    return count_text(json.dumps(value, ensure_ascii=False))


def count_request(body: Mapping[str, Any]) -> int:
    """The input tokens of a Messages request."""
    tokens = MESSAGE_OVERHEAD + _count_content(body.get("system") or "")
    tokens += sum(_count_content(message["content"]) for message in body["messages"])
    tools = body.get("tools") or []
    for tool in tools:
        tokens += count_text(str(tool.get("name", "")) + str(tool.get("description", "")))
        tokens += count_json(tool.get("input_schema", {}))
    return tokens + (TOOL_OVERHEAD if tools else 0)


def _count_content(content: str | list[dict[str, Any]]) -> int:
    if isinstance(content, str):
        return count_text(content)
    return sum(_count_block(block) for block in content)


def _count_block(block: Mapping[str, Any]) -> int:
    match block.get("type"):
        case "text":
            return count_text(str(block.get("text", "")))
        case "tool_result":
            return _count_content(block.get("content") or "")
        case _:
            return count_json(block)
