"""How many tokens a request or an answer has, near enough and always the same.

Counts words, numbers and punctuation much as the real tokenizers do: an English word is one or two
tokens, a Korean syllable is one. Every token takes at least one character of the text, so there are
never more tokens than bytes of UTF-8, which is the bound that Helios reserves.

Two promises let a caller settle an answer that broke off, to the token. The tokens of what came
first are a prefix of the tokens of the whole. And an assistant's message counts as much in a
request as it was billed in an answer: a text and a thinking its own tokens, a tool call those of
its name and of its JSON, and a message, a block, an id and a signature nothing.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

_PIECE = re.compile(
    r" ?[A-Za-z]{1,6}|[0-9]{1,3}| ?[^\x00-\x7f\s]| ?[!-/:-@\[-`{-~]{1,2}|\s{1,8}|.", re.DOTALL
)
_CHUNK = 65_536

REQUEST_OVERHEAD = 8
"""Roles and framing of a request, once."""
TOOL_OVERHEAD = 346
"""The provider's own prompt for a forced tool, as its documentation states it."""
IMAGE_TOKENS = 1_600
"""The most an image takes; one that is given by its address takes as much."""
DOCUMENT_TOKENS = 3_000
"""A document that is given by its address or its id."""
_BYTES_PER_IMAGE_TOKEN = 750
_BYTES_PER_DOCUMENT_TOKEN = 25


def count_text(text: str) -> int:
    """The tokens of a text."""
    # Prompts come again and again; reading one costs twenty times as much as looking it up.
    return _looked_up(text) if 64 < len(text) <= _CHUNK else _count(text)


def pieces(text: str) -> Iterator[str]:
    """The text, token by token."""
    for start in range(0, len(text), _CHUNK):
        for found in _PIECE.finditer(text, start, start + _CHUNK):
            yield found.group()


def count_json(value: object) -> int:
    """The tokens of a value written as JSON."""
    return count_text(json.dumps(value, ensure_ascii=False))


def count_request(body: Mapping[str, Any]) -> int:
    """The input tokens of a Messages request."""
    tools = body.get("tools") or ()
    tokens = REQUEST_OVERHEAD + (TOOL_OVERHEAD if tools else 0)
    tokens += sum(count_tool(tool) for tool in tools)
    tokens += count_content(body.get("system") or "")
    return tokens + sum(count_content(message["content"]) for message in body["messages"])


def count_tool(tool: Mapping[str, Any]) -> int:
    """The tokens of a tool that is offered."""
    named = count_text(str(tool.get("name", "")) + str(tool.get("description", "")))
    return named + count_json(tool.get("input_schema", {}))


def count_content(content: str | list[dict[str, Any]]) -> int:
    """The tokens of a message or a system prompt."""
    if isinstance(content, str):
        return count_text(content)
    return sum(count_block(block) for block in content)


def count_block(block: Mapping[str, Any]) -> int:
    """The tokens of one content block."""
    match block["type"]:
        case "text":
            return count_text(str(block.get("text", "")))
        case "thinking":
            return count_text(str(block.get("thinking", "")))
        case "tool_result":
            return count_content(block.get("content") or "")
        case "tool_use" | "server_tool_use":
            return count_text(str(block.get("name", ""))) + count_json(block.get("input", {}))
        case "image":
            return min(IMAGE_TOKENS, _by_size(block, _BYTES_PER_IMAGE_TOKEN, IMAGE_TOKENS))
        case "document":
            return _by_size(block, _BYTES_PER_DOCUMENT_TOKEN, DOCUMENT_TOKENS)
        case _:
            return count_json({k: v for k, v in block.items() if k != "cache_control"})


def _by_size(block: Mapping[str, Any], bytes_per_token: int, unseen: int) -> int:
    source = block.get("source")
    if not isinstance(source, dict) or not isinstance(data := source.get("data"), str):
        return unseen
    if source.get("type") == "text":
        return count_text(data)
    return 1 + len(data) // bytes_per_token


def _count(text: str) -> int:
    # In chunks, because the list of all pieces of a 20 MB text takes a gigabyte.
    starts = range(0, len(text), _CHUNK)
    return sum(len(_PIECE.findall(text, start, start + _CHUNK)) for start in starts)


_looked_up = lru_cache(maxsize=512)(_count)
