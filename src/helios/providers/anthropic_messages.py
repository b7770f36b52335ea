"""Requests and replies in the form of the Messages API. Values in, values out."""

import json
from collections.abc import Mapping
from typing import Any

from helios.domain.usage import Usage
from helios.errors import BadOutput, ConnectionLost
from helios.ports.models import Message, ModelReply, ModelRequest, Tool, ToolCall
from helios.providers.model_facts import accepts_forced_tool

_MALFORMED = "Try again; if it stays, look for a proxy between this machine and the provider."


def payload(request: ModelRequest) -> dict[str, Any]:
    """The arguments of one Messages call."""
    arguments: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": [{"role": m.role, "content": _content(m)} for m in request.messages],
    }
    system = request.system
    if request.offered:
        arguments["tools"] = [_tool(tool) for tool in request.offered]
        choice = {"type": "auto"}
        if request.forced and accepts_forced_tool(request.model):
            choice = (
                {"type": "tool", "name": request.tool.name} if request.tool else {"type": "any"}
            )
        elif request.forced:
            system = f"{system}\n\n{ask_to_call(request)}".strip()
        single = {"disable_parallel_tool_use": True} if request.tool else {}
        arguments["tool_choice"] = {**choice, **single}
    if system:
        arguments["system"] = system
    return arguments


def ask_to_call(request: ModelRequest) -> str:
    """The sentence that asks for a call where the provider cannot be made to force one."""
    names = ", ".join(tool.name for tool in request.offered)
    one = "the tool" if len(request.offered) == 1 else "one of the tools"
    return f"Answer only by calling {one} {names}."


def count_payload(request: ModelRequest) -> dict[str, Any]:
    """The arguments of a count of this request's input: the same but for what is no input."""
    return {key: value for key, value in payload(request).items() if key != "max_tokens"}


def read_reply(name: str, request: ModelRequest, body: bytes, *, simulated: bool) -> ModelReply:
    """The reply in the body of a 200 answer.

    Raises:
        ConnectionLost: it is not JSON.
        BadOutput: it is not a message, or lacks its usage.
    """
    try:
        data = json.loads(body)
    except ValueError as error:
        raise ConnectionLost(
            f"{name}: the answer is not JSON ({error})", billed="unknown", next_step=_MALFORMED
        ) from error
    if not isinstance(data, dict) or not isinstance(data.get("content"), list):
        raise BadOutput(f"{name}: the answer is not a message", billed="unknown")
    blocks = [block for block in data["content"] if isinstance(block, dict)]
    return ModelReply(
        model=str(data.get("model") or request.model),
        text="".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text"),
        tool_input=_tool_input(request.tool, blocks),
        stop_reason=str(data.get("stop_reason") or ""),
        usage=_usage(name, data.get("usage")),
        simulated=simulated,
        calls=_calls(blocks) if request.tools else (),
    )


def _content(message: Message) -> str | list[dict[str, Any]]:
    """Plain text where there is nothing else; results stand before what is said besides."""
    if not (message.calls or message.results):
        return message.text
    blocks: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": result.id, "content": result.text}
        for result in message.results
    ]
    if message.text:
        blocks.append({"type": "text", "text": message.text})
    for call in message.calls:
        blocks.append(
            {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)}
        )
    return blocks


def _calls(blocks: list[dict[str, Any]]) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(str(block.get("id", "")), str(block.get("name", "")), dict(block["input"]))
        for block in blocks
        if block.get("type") == "tool_use" and isinstance(block.get("input"), dict)
    )


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": dict(tool.schema),
    }


def _tool_input(tool: Tool | None, blocks: list[dict[str, Any]]) -> Mapping[str, Any] | None:
    for block in blocks:
        called = tool and block.get("type") == "tool_use" and block.get("name") == tool.name
        if called and isinstance(block.get("input"), dict):
            return dict(block["input"])
    return None


def _usage(name: str, data: object) -> Usage:
    if not isinstance(data, dict):
        raise BadOutput(f"{name}: the answer has no usage", billed="unknown")
    created = data.get("cache_creation")
    written_1h = (
        _count(name, created, "ephemeral_1h_input_tokens", 0) if isinstance(created, dict) else 0
    )
    written = _count(name, data, "cache_creation_input_tokens", 0)
    return Usage(
        input_tokens=_count(name, data, "input_tokens", None),
        output_tokens=_count(name, data, "output_tokens", None),
        cache_write_tokens=max(written, written_1h),
        cache_read_tokens=_count(name, data, "cache_read_input_tokens", 0),
        cache_write_1h_tokens=written_1h,
    )


def _count(name: str, data: Mapping[str, Any], key: str, absent: int | None) -> int:
    value = data.get(key)
    count = absent if value is None else value
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise BadOutput(f"{name}: the answer's usage has no {key}", billed="unknown")
    return count
