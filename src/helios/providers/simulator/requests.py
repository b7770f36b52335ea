"""Requests of the Messages API, checked as the API checks them."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from helios.providers.model_facts import accepts_forced_tool
from helios.providers.simulator.script import Conversation
from helios.providers.simulator.tokens import count_request

_Kind = TypeVar("_Kind")


class ApiError(Exception):
    """An answer in the API's error shape."""

    def __init__(
        self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.headers = headers or {}

    def body(self, request_id: str) -> dict[str, Any]:
        """The body of the answer."""
        error = {"type": self.kind, "message": self.message}
        return {"type": "error", "error": error, "request_id": request_id}


@dataclass(frozen=True, slots=True)
class Asked:
    """A valid request."""

    conversation: Conversation
    input_tokens: int
    max_tokens: int
    stream: bool


async def collect(chunks: AsyncIterator[bytes], most: int) -> bytes:
    """A body in one piece.

    Raises:
        ApiError: 413; the rest was read and dropped, so that the sender gets to see the answer.
    """
    size, kept = 0, []
    async for chunk in chunks:
        size += len(chunk)
        if size <= most:
            kept.append(chunk)
    if size > most:
        raise ApiError(413, "request_too_large", "Request exceeds the maximum size")
    return b"".join(kept)


def read_request(raw: bytes, *, needs_max_tokens: bool = True) -> Asked:
    """A request's body, checked as the API checks it.

    Raises:
        ApiError: 400, with the field.
    """
    body = _json_object(raw)
    model = _field(body, "model", str)
    messages = _messages(body)
    if body.get("system") is not None:
        _check_content("system", body["system"])
    max_tokens = _field(body, "max_tokens", int) if needs_max_tokens else 1
    if max_tokens < 1:
        raise _invalid("max_tokens: must be greater than or equal to 1")
    tools = _tools(body)
    _check_tool_choice(model, body.get("tool_choice"), tools)
    said = [message for message in messages if message["role"] == "user"]
    conversation = Conversation(
        model=model,
        user_text="\n".join(_texts(message["content"]) for message in said),
        turn=len(said),
        tools=tools,
    )
    return Asked(conversation, count_request(body), max_tokens, body.get("stream") is True)


def _invalid(message: str) -> ApiError:
    return ApiError(400, "invalid_request_error", message)


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
        if b"\\u" in raw:
            # An escaped half of a surrogate pair is a string that no UTF-8 can carry.
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise _invalid(f"The request body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise _invalid("The request body is not a JSON object")
    return body


def _field(body: Mapping[str, Any], name: str, kind: type[_Kind]) -> _Kind:
    value = body.get(name)
    if value is None or value == "":
        raise _invalid(f"{name}: Field required")
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _invalid(f"{name}: Input should be a valid {kind.__name__}")
    return value


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages: list[Any] = _field(body, "messages", list)
    if not messages:
        raise _invalid("messages: at least one message is required")
    for index, message in enumerate(messages):
        place = f"messages.{index}"
        if not isinstance(message, dict):
            raise _invalid(f"{place}: Input should be a valid object")
        if message.get("role") not in {"user", "assistant", "system"}:
            raise _invalid(f"{place}.role: Input should be 'user' or 'assistant'")
        _check_content(f"{place}.content", message.get("content"))
    return messages


def _check_content(place: str, content: object) -> None:
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise _invalid(f"{place}: Input should be a valid string or list")
    for index, block in enumerate(content):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise _invalid(f"{place}.{index}.type: Field required")
        if block["type"] == "tool_result" and block.get("content") is not None:
            _check_content(f"{place}.{index}.content", block["content"])
        if block["type"] == "text" and not isinstance(block.get("text"), str):
            raise _invalid(f"{place}.{index}.text: Field required")


def _tools(body: Mapping[str, Any]) -> frozenset[str]:
    tools = body.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise _invalid("tools: Input should be a valid list of objects")
    names = [tool.get("name") for tool in tools]
    if not all(isinstance(name, str) and name for name in names):
        raise _invalid("tools: every tool needs a name")
    return frozenset(names)


def _check_tool_choice(model: str, choice: object, tools: frozenset[str]) -> None:
    if choice is None:
        return
    if not isinstance(choice, dict) or choice.get("type") not in {"auto", "any", "tool", "none"}:
        raise _invalid("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")
    if choice["type"] == "tool" and choice.get("name") not in tools:
        raise _invalid(f"tool_choice: tool {choice.get('name')!r} not found in provided tools")
    if choice["type"] in {"tool", "any"} and not accepts_forced_tool(model):
        raise _invalid('tool_choice: type "tool" and "any" are not supported for this model.')


def _texts(content: str | list[dict[str, Any]]) -> str:
    """Everything a message says in words, tool results included."""
    if isinstance(content, str):
        return content
    found = []
    for block in content:
        if block["type"] == "text":
            found.append(block["text"])
        elif block["type"] == "tool_result":
            found.append(_texts(block.get("content") or ""))
    return "\n".join(found)
