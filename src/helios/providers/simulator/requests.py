"""Requests of the Messages API, checked as the API checks them; what it does not know passes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from helios.providers.model_facts import accepts_forced_tool
from helios.providers.simulator.caching import Prompt, prompt_of
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


@dataclass(frozen=True, slots=True)
class Asked:
    """A valid request, of whichever dialect.

    `forced` is the tool it insists on, by name and schema; `schema` is there when its text must be
    JSON; `prompt` is there when it asks for the
    prompt cache; `shows_usage` is False where a stream shall not tell its usage.
    """

    conversation: Conversation
    input_tokens: int
    max_tokens: int
    stream: bool
    forced: tuple[str, Any] | None = None
    prompt: Prompt | None = None
    shows_usage: bool = True
    schema: object = None


def read_request(raw: bytes, *, needs_max_tokens: bool = True) -> Asked:
    """A request's body, checked as the API checks it.

    Raises:
        ApiError: 400, with the field.
    """
    return check_request(json_object(raw), needs_max_tokens=needs_max_tokens)


def check_request(
    body: Mapping[str, Any], *, needs_max_tokens: bool = True, may_force: bool = False
) -> Asked:
    """The same of a body that is read already.

    Args:
        body: the request.
        needs_max_tokens: False where nothing is generated.
        may_force: a tool may be insisted on, whatever the model.

    Raises:
        ApiError: 400, with the field.
    """
    model = field_of(body, "model", str)
    messages = _messages(body)
    system = body.get("system") or ""
    _check_content("system", system)
    max_tokens = field_of(body, "max_tokens", int) if needs_max_tokens else 1
    if max_tokens < 1:
        raise invalid("max_tokens: must be greater than or equal to 1")
    tools = _tools(body)
    forced = _forced_tool(body.get("tool_choice"), tools)
    if forced and not may_force and not accepts_forced_tool(model):
        raise invalid('tool_choice: type "tool" and "any" are not supported for this model.')
    said = [message["content"] for message in messages if message["role"] == "user"]
    texts = [_texts(content) for content in said]
    prompt = prompt_of(body)
    if prompt and prompt.breakpoints > 4:
        raise invalid("A maximum of 4 blocks with cache_control may be provided.")
    conversation = Conversation(
        model=model,
        user_text="\n".join(texts),
        turn=len(said),
        tools=frozenset(tools),
        last=texts[-1] if texts else "",
        results=sum(_results(content) for content in said),
        system=_texts(system),
    )
    counted = prompt.tokens if prompt else count_request(body)
    return Asked(
        conversation,
        counted,
        max_tokens,
        body.get("stream") is True,
        forced,
        prompt,
        schema=_schema(body),
    )


def invalid(message: str) -> ApiError:
    """HTTP 400 with this message."""
    return ApiError(400, "invalid_request_error", message)


def json_object(raw: bytes) -> dict[str, Any]:
    """A body that is a JSON object.

    Raises:
        ApiError: 400; it is something else.
    """
    try:
        body = json.loads(raw)
        if b"\\u" in raw:
            # An escaped half of a surrogate pair is a string that no UTF-8 can carry.
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise invalid(f"The request body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise invalid("The request body is not a JSON object")
    return body


def field_of(body: Mapping[str, Any], name: str, kind: type[_Kind]) -> _Kind:
    """A required field of this type.

    Raises:
        ApiError: 400; it is missing or of another type.
    """
    value = body.get(name)
    if value is None or value == "":
        raise invalid(f"{name}: Field required")
    if not isinstance(value, kind) or isinstance(value, bool):
        raise invalid(f"{name}: Input should be a valid {kind.__name__}")
    return value


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages: list[Any] = field_of(body, "messages", list)
    if not messages:
        raise invalid("messages: at least one message is required")
    for index, message in enumerate(messages):
        place = f"messages.{index}"
        if not isinstance(message, dict):
            raise invalid(f"{place}: Input should be a valid object")
        if message.get("role") not in {"user", "assistant", "system"}:
            raise invalid(f"{place}.role: Input should be 'user' or 'assistant'")
        _check_content(f"{place}.content", message.get("content"))
    return messages


def _check_content(place: str, content: object) -> None:
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise invalid(f"{place}: Input should be a valid string or list")
    for index, block in enumerate(content):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise invalid(f"{place}.{index}.type: Field required")
        if block["type"] == "tool_result" and block.get("content") is not None:
            _check_content(f"{place}.{index}.content", block["content"])
        if block["type"] == "text" and not isinstance(block.get("text"), str):
            raise invalid(f"{place}.{index}.text: Field required")


def _tools(body: Mapping[str, Any]) -> dict[str, Any]:
    """The tools' schemas by name; a server tool has none and is never called."""
    tools = body.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise invalid("tools: Input should be a valid list of objects")
    names = [tool.get("name", tool.get("mcp_server_name")) for tool in tools]
    if not all(isinstance(name, str) and name for name in names):
        raise invalid("tools: every tool needs a name")
    return {name: tool.get("input_schema") for name, tool in zip(names, tools, strict=True)}


def _forced_tool(choice: object, tools: Mapping[str, Any]) -> tuple[str, Any] | None:
    if choice is None:
        return None
    if not isinstance(choice, dict) or choice.get("type") not in {"auto", "any", "tool", "none"}:
        raise invalid("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")
    if choice["type"] not in {"tool", "any"}:
        return None
    name = choice.get("name") if choice["type"] == "tool" else next(iter(tools), None)
    if not isinstance(name, str) or name not in tools:
        raise invalid(f"tool_choice: tool {name!r} not found in provided tools")
    return name, tools[name]


def _schema(body: Mapping[str, Any]) -> object:
    output = body.get("output_config")
    form = output.get("format") if isinstance(output, dict) else body.get("output_format")
    if not isinstance(form, dict) or not str(form.get("type")).startswith("json"):
        return None
    return form.get("schema") or {"type": "object"}


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


def _results(content: str | list[dict[str, Any]]) -> int:
    if isinstance(content, str):
        return 0
    return sum(block["type"] == "tool_result" for block in content)
