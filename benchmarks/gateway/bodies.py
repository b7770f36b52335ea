"""What is asked, in the form in which Claude Code asks, and what is answered."""

import json
from typing import Any

MODEL = "claude-sonnet-5-5"
WORDS = (
    "The function reads the file once, keeps an index of its lines, and answers every look-up "
    "from memory; 한국어 이름도 그대로 둡니다. "
)
TOOLS = (
    ("Bash", "Run a command in a shell and give what it wrote.", ("command", "timeout")),
    ("Read", "Read a file; give its lines with their numbers.", ("file_path", "offset", "limit")),
    ("Edit", "Replace a text in a file.", ("file_path", "old_string", "new_string")),
)


def request_body(size: int, *, stream: bool) -> bytes:
    """A request of about so many bytes: system blocks, tools, a conversation."""
    system = [
        {"type": "text", "text": "You are a command-line assistant for programmers."},
        {"type": "text", "text": WORDS * 2, "cache_control": {"type": "ephemeral"}},
    ]
    messages: list[dict[str, Any]] = [_said("user", "Why is the index slow to build?")]
    body: dict[str, Any] = {
        "model": MODEL,
        "max_tokens": 4096,
        "stream": stream,
        "metadata": {"user_id": "user_bench_account__session_7d1f"},
        "system": system,
        "tools": [_tool(*tool) for tool in TOOLS],
        "messages": messages,
    }
    rest = size - len(_json(body))
    turns = max(1, rest // 4000)
    for turn in range(turns):
        share = WORDS * max(1, rest // turns // len(WORDS.encode()))
        messages.append(_said("assistant", f"Step {turn}."))
        messages.append(_said("user", share))
    messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
    return _json(body)


def script_text(deltas: int) -> str:
    """The simulator's script: one answer of so many deltas for every request."""
    text = ("word " * 12 * deltas).strip()
    return f'answers:\n  - when: {{contains: ""}}\n    text: {json.dumps(text)}\n'


def request_head(port: int, key: str, by: str, length: int) -> bytes:
    """The head that goes before a body; the simulator notes `by`, which Helios keeps back."""
    return (
        f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
        "content-type: application/json\r\naccept: application/json\r\n"
        "anthropic-version: 2023-06-01\r\nuser-agent: helios-bench/1\r\n"
        f"x-api-key: {key}\r\nx-helios-by: {by}\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


def _said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def _tool(name: str, about: str, parameters: tuple[str, ...]) -> dict[str, Any]:
    kinds = {parameter: {"type": "string", "description": parameter} for parameter in parameters}
    schema = {"type": "object", "properties": kinds, "required": [parameters[0]]}
    return {"name": name, "description": about, "input_schema": schema}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
