"""What in a request makes the provider read more than was sent: files, tools it runs, threads.

Field names and types of tools are those of the Messages API, betas included.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from helios.domain.gateway.json_values import is_list, is_object

LOOP_LIMIT = 10
"""How often the provider samples in one request before it stops with `pause_turn` (provider's page
"Server tools", section "The server-side loop and pause_turn"; its default).
"""
MOST_USES = 1_000
MOST_FALLBACK_TOKENS = 10_000_000
"""More than one request can take: a larger number changes nothing, and overflows no column."""
TOOL_TOKENS = 1_500
"""The most that a built-in tool takes which the client runs: its description is the provider's, and
not in the body. Published are 245 for bash, 700 for the text editor, 735 for the computer and 499
for its prompt (provider's pages on each tool); the prompt that comes with any tool, 346 or with
older models 530, is in `input_bound`.
"""
TOOLSET_TOKENS = 5_000
"""The same for a family of tools in one entry, for which nothing is published: it describes some
twenty actions.
"""
_CLIENT_TOOL = re.compile(
    r"(?:bash|text_editor|computer|memory|browser|computer_toolset|browser_toolset)_\d+"
)
_PRICED_SERVER_TOOL = re.compile(
    r"(?:web_search|web_fetch|code_execution)_\d+|tool_search_tool_\w+|mcp_toolset"
)
_THINKING = ("thinking", "redacted_thinking")


@dataclass(slots=True)
class Contents:
    """What was found; see `Asked` in request.py, whose fields these become."""

    reasons: dict[str, None] = field(default_factory=dict[str, None])
    needs_count: bool = False
    remote_context: bool = False
    server_tools: int = 0
    server_tool_uses: int | None = 0
    compaction: bool = False
    images: int = 0
    image_characters: int = 0
    tool_tokens: int = 0
    thinking_blocks: bool = False
    fallbacks: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    unpriced: str = ""

    @property
    def rounds(self) -> int:
        """How often the model may read again: once for each use, and once when it is told that
        there are no more, but never more often than the provider's loop turns.
        """
        if not self.server_tools:
            return 0
        uses = self.server_tool_uses
        return LOOP_LIMIT if uses is None else min(LOOP_LIMIT, uses + 1)


def look_at(data: Mapping[str, Any], messages: list[Any]) -> Contents:
    """Look through a parsed body."""
    found = Contents()
    system = data.get("system")
    if is_list(system):
        _blocks(system, found)
    for message in messages:
        content = message.get("content") if is_object(message) else None
        if is_list(content):
            _blocks(content, found)
    tools = data.get("tools")
    for tool in tools if is_list(tools) else ():
        _tool(tool, found)
    _settings(data, found)
    _fallbacks(data.get("fallbacks"), found)
    return found


def _settings(data: Mapping[str, Any], found: Contents) -> None:
    if data.get("mcp_servers"):
        _add_server_tool(found, "mcp_servers", uses=None)
    if data.get("container"):
        _add_server_tool(found, "container", uses=None)
    if data.get("thread"):
        found.remote_context = True
        found.reasons["thread: the provider adds what was said before"] = None
    management = data.get("context_management")
    edits = management.get("edits") if is_object(management) else None
    compacts = any(
        str(edit.get("type", "")).startswith("compact")
        for edit in (edits if is_list(edits) else ())
        if is_object(edit)
    )
    if compacts or data.get("compaction"):
        found.compaction = True
        found.reasons["compaction: the provider reads the context once more"] = None


def _fallbacks(named: object, found: Contents) -> None:
    """Models the provider may ask when the first one declines, each at its own price."""
    if not named:
        return
    entries: list[Any] = named if is_list(named) else [named]
    for entry in entries:
        model = entry.get("model") if is_object(entry) else None
        if not isinstance(model, str) or entry.get("speed") not in (None, "standard"):
            found.unpriced = found.unpriced or f"fallbacks: {str(entry)[:80]}"
            return
        tokens = entry.get("max_tokens")
        if not isinstance(tokens, int) or isinstance(tokens, bool):
            tokens = 0
        found.fallbacks.append((model, min(max(0, tokens), MOST_FALLBACK_TOKENS)))


def _blocks(blocks: list[Any], found: Contents) -> None:
    waiting = list(blocks)
    while waiting:
        block = waiting.pop()
        if not is_object(block):
            continue
        kind = block.get("type")
        if kind == "text":
            continue
        if kind in _THINKING:
            found.thinking_blocks = True
            continue
        inner = block.get("content")
        if is_list(inner):
            waiting.extend(inner)
        elif is_object(inner):
            waiting.append(inner)
        source = block.get("source")
        if is_object(source):
            inner = _source(str(kind), source, found)
            waiting.extend(inner if is_list(inner) else ())
        if kind == "tool_addition":
            _added_tool(block.get("tool"), found)


def _source(kind: str, source: Mapping[str, Any], found: Contents) -> object:
    """Note where a picture or document comes from; the blocks it holds itself."""
    origin = source.get("type")
    if origin in ("text", "content"):
        return source.get("content")
    data = source.get("data")
    if origin == "base64" and kind == "image" and isinstance(data, str):
        found.images += 1
        found.image_characters += len(data)
        return None
    found.needs_count = True
    found.reasons[f"{kind[:40]} by {str(origin)[:40]}"] = None
    return None


def _added_tool(tool: object, found: Contents) -> None:
    """A tool that is only introduced within the conversation."""
    definition = tool.get("definition") if is_object(tool) else None
    if definition is not None:
        _tool(definition, found)


def _tool(tool: object, found: Contents) -> None:
    kind = tool.get("type") if is_object(tool) else None
    if not is_object(tool) or kind is None or kind == "custom":
        return
    name = str(kind)[:80]
    if _CLIENT_TOOL.fullmatch(name):
        found.tool_tokens += TOOLSET_TOKENS if "_toolset_" in name else TOOL_TOKENS
        return
    uses = tool.get("max_uses")
    if not isinstance(uses, int) or isinstance(uses, bool) or uses < 0:
        uses = None
    most = None if uses is None else min(uses, MOST_USES)
    _add_server_tool(found, f"server tool {name}", uses=most)
    if not _PRICED_SERVER_TOOL.fullmatch(name) and not found.unpriced:
        found.unpriced = f"server tool {name}"


def _add_server_tool(found: Contents, reason: str, *, uses: int | None) -> None:
    found.reasons[reason] = None
    found.server_tools += 1
    if uses is None or found.server_tool_uses is None:
        found.server_tool_uses = None
    else:
        found.server_tool_uses += uses
