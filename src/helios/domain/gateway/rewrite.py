"""Changing one thing in a body and leaving every other byte as the client wrote it.

All functions take bodies that `read_request` has read.
"""

import json

import jiter

from helios.domain.gateway.json_spans import Item, items, stretches, without
from helios.domain.gateway.request import spans
from helios.errors import RequestRefused

_THINKING = ("thinking", "redacted_thinking")


def with_model(body: bytes, name: str) -> bytes:
    """The same request for another model.

    Raises:
        RequestRefused: the body names no model.
    """
    return _with_value(body, "model", json.dumps(name, ensure_ascii=False).encode())


def with_max_tokens(body: bytes, tokens: int) -> bytes:
    """The same request for an answer of at most so many tokens.

    Raises:
        RequestRefused: the body has no `max_tokens`.
    """
    return _with_value(body, "max_tokens", b"%d" % tokens)


def without_thinking(
    body: bytes, *, takes_thinking: bool = True, takes_effort: bool = True
) -> bytes:
    """The same request for another model, which cannot use the first one's thoughts.

    Thinking and redacted thinking are cut out of assistant messages. A message that was nothing
    else goes as a whole: the API joins the two messages around it, and takes no empty one.

    Args:
        body: the request.
        takes_thinking: the new model takes the setting `thinking`, which stays as it is then.
        takes_effort: the same of `output_config.effort`.
    """
    found = items(body)
    gone: list[tuple[int, int]] = []
    whole: set[int] = set()
    for place, item in enumerate(found):
        if item.key == "messages":
            gone += _thoughts(body, item)
        elif item.key == "thinking" and not takes_thinking:
            whole.add(place)
        elif item.key == "output_config" and not takes_effort:
            gone += _members_named(body, item, "effort")
        elif item.key == "context_management" and not takes_thinking:
            gone += _clearing_edits(body, item)
    cut = stretches(found, whole)
    return without(body, gone + cut) if gone or cut else body


def _with_value(body: bytes, key: str, value: bytes) -> bytes:
    place = spans(body, (key,)).get(key)
    if place is None:
        raise RequestRefused(f"{key}: is missing", billed="no", next_step=f"Say {key}.")
    return body[: place[0]] + value + body[place[1] :]


def _thoughts(body: bytes, conversation: Item) -> list[tuple[int, int]]:
    messages = items(body, conversation.value) if _opens(body, conversation, b"[") else []
    gone: list[tuple[int, int]] = []
    empty: set[int] = set()
    for place, message in enumerate(messages):
        if not _opens(body, message, b"{") or not _may_think(body, message):
            continue
        fields = items(body, message.value)
        content = next((item for item in fields if item.key == "content"), None)
        said = _string(body, fields, "role") == "assistant"
        if not said or content is None or not _opens(body, content, b"["):
            continue
        blocks = items(body, content.value)
        thoughts = {at for at, block in enumerate(blocks) if _is_thought(body, block)}
        if thoughts and len(thoughts) == len(blocks):
            empty.add(place)
        else:
            gone += stretches(blocks, thoughts)
    if len(empty) == len(messages):
        return gone
    return gone + stretches(messages, empty)


def _may_think(body: bytes, message: Item) -> bool:
    """False where the word does not stand, escaped or not: most messages are not looked into."""
    return any(body.find(word, message.value, message.end) >= 0 for word in (b"thinking", b"\\u"))


def _is_thought(body: bytes, block: Item) -> bool:
    fields = items(body, block.value) if _opens(body, block, b"{") else []
    return _string(body, fields, "type") in _THINKING


def _members_named(body: bytes, parent: Item, name: str) -> list[tuple[int, int]]:
    members = items(body, parent.value) if _opens(body, parent, b"{") else []
    return stretches(members, {at for at, item in enumerate(members) if item.key == name})


def _clearing_edits(body: bytes, parent: Item) -> list[tuple[int, int]]:
    """Edits that clear thoughts, which the API refuses without thinking."""
    members = items(body, parent.value) if _opens(body, parent, b"{") else []
    edits = next((item for item in members if item.key == "edits"), None)
    if edits is None or not _opens(body, edits, b"["):
        return []
    listed = items(body, edits.value)
    gone: set[int] = set()
    for at, edit in enumerate(listed):
        fields = items(body, edit.value) if _opens(body, edit, b"{") else []
        if _string(body, fields, "type").startswith("clear_thinking"):
            gone.add(at)
    return stretches(listed, gone)


def _opens(body: bytes, item: Item, bracket: bytes) -> bool:
    return body[item.value : item.value + 1] == bracket


def _string(body: bytes, found: list[Item], key: str) -> str:
    """The text under a key, however it is written; "" where there is none."""
    item = next((item for item in found if item.key == key), None)
    if item is None or not _opens(body, item, b'"'):
        return ""
    return str(jiter.from_json(body[item.value : item.end]))
