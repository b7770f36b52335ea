"""How Claude Code is asked: its arguments and what it reads. Values in, values out.

Measured with 2.1.197 against a server that counted. Left alone, it asks again up to ten times after
an error, goes on three times after an answer that was cut off, and asks again for an answer that
does not fit the schema. Each would be a request that nobody reserved for. So it may not retry, and
its own ceiling on costs is the least there is: it is looked at after each answer, and so there is
exactly one. The attachments are off because they would tell the model of that ceiling.

`--bare` is not used: it takes no login, and what is sent is the same to the byte without it.
"""

import json
from collections.abc import Mapping

from helios.ports.models import Message, ModelRequest, Tool

ANSWER_TOOL = "StructuredOutput"
"""The tool that Claude Code makes of a schema."""
LONGEST_ARGUMENT = 100_000
"""Bytes; the kernel takes 131,072 in one argument."""
_LEAST_USD = "0.000001"


def arguments(request: ModelRequest, tool: Tool | None) -> list[str]:
    """What follows the program's name. No setting is an environment variable of the process's own,
    and none is a credential.
    """
    settings = {"env": _limits(request)}
    given = [
        *("-p", "--verbose", "--safe-mode", "--strict-mcp-config", "--no-session-persistence"),
        *("--input-format", "stream-json", "--output-format", "stream-json"),
        *("--model", request.model, "--tools", "", "--max-budget-usd", _LEAST_USD),
        *("--settings", json.dumps(settings), "--system-prompt", _system(request, tool)),
    ]
    if tool:
        given += ["--json-schema", json.dumps(dict(tool.schema), ensure_ascii=False)]
    return given


def spoken(request: ModelRequest) -> bytes:
    """The line it reads: the whole conversation as one turn of the user."""
    turn = {"type": "user", "message": {"role": "user", "content": _told(request.messages)}}
    return json.dumps(turn, ensure_ascii=False).encode() + b"\n"


def _limits(request: ModelRequest) -> Mapping[str, str]:
    return {
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(request.max_tokens),
        "CLAUDE_CODE_MAX_RETRIES": "0",
        "CLAUDE_CODE_DISABLE_ATTACHMENTS": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        # A cache would be written for a prefix that no other process has.
        "DISABLE_PROMPT_CACHING": "1",
    }


def _system(request: ModelRequest, tool: Tool | None) -> str:
    parts = [request.system]
    if tool:
        parts.append(f"{tool.description}\n\nAnswer only by calling the tool {ANSWER_TOOL}.")
    # Without one the program would take its own, which is twelve thousand tokens long.
    return "\n\n".join(part for part in parts if part) or "Answer the user."


def _told(messages: tuple[Message, ...]) -> str:
    if len(messages) == 1:
        return messages[0].text
    names = {"user": "You were told", "assistant": "You answered"}
    return "\n\n".join(f"{names[m.role]}:\n\n{m.text}" for m in messages)
