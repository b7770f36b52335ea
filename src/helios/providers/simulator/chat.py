"""The second dialect: chat completions in OpenAI's form; the same script, the same meter.

A request is read as the Messages request it corresponds to, so that it is counted alike.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from helios.providers.simulator.content import deltas
from helios.providers.simulator.replies import Frame, Reply, to_json
from helios.providers.simulator.requests import (
    ApiError,
    Asked,
    check_request,
    field_of,
    invalid,
    json_object,
)

_USUAL_MAX_TOKENS = 4_096
_FINISH = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
_KINDS = {
    400: "invalid_request_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_exceeded",
}


class _Chat:
    """Chat completions."""

    def read(self, raw: bytes) -> Asked:
        body = json_object(raw)
        asked = check_request(_as_messages(body), may_force=True)
        options = body.get("stream_options")
        shows = not asked.stream or (
            isinstance(options, dict) and options.get("include_usage") is True
        )
        return replace(asked, shows_usage=shows)

    def whole(self, reply: Reply) -> Mapping[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": _text(reply), "refusal": None}
        calls = [
            {
                "id": reply.call_id(index),
                "type": "function",
                "function": {"name": block.name, "arguments": block.text},
            }
            for index, block in enumerate(reply.answer.blocks)
            if block.name
        ]
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
        told = {"usage": _usage(reply)} if reply.shows_usage else {}
        return {**_head(reply, "chat.completion"), "choices": [choice], **told}

    def frames(self, reply: Reply, asked: Asked) -> Iterator[Frame]:
        head = _head(reply, "chat.completion.chunk")
        # The client that asks for usage finds it null in every chunk but the last.
        null = {"usage": None} if asked.shows_usage else {}
        yield _chunk(head, {"role": "assistant", "content": ""}, null)
        call = -1
        for index, block in enumerate(reply.answer.blocks):
            if block.kind == "thinking":
                for part in deltas(block):
                    yield _chunk(head, {"reasoning_content": part.text}, null, part.tokens)
            elif block.kind == "text":
                for part in deltas(block):
                    yield _chunk(head, {"content": part.text}, null, part.tokens)
            else:
                call += 1
                first: dict[str, Any] = {"id": reply.call_id(index), "type": "function"}
                named, extra = {"name": block.name}, block.head_tokens
                for part in deltas(block):
                    function = {**named, "arguments": part.text}
                    said = {"index": call, **first, "function": function}
                    yield _chunk(head, {"tool_calls": [said]}, null, part.tokens + extra)
                    first, named, extra = {}, {}, 0
        ending = _chunk(head, {}, null, finish=_finish(reply)).data
        if reply.shows_usage:
            ending += _event({**head, "choices": [], "usage": _usage(reply)})
        yield Frame(ending + b"data: [DONE]\n\n", 0)

    def error(self, error: ApiError, request_id: str) -> Mapping[str, Any]:  # noqa: ARG002
        kind = _KINDS.get(error.status, "server_error")
        return {"error": {"message": error.message, "type": kind, "param": None, "code": None}}

    def error_event(self, error: ApiError) -> bytes:
        return _event(self.error(error, ""))


CHAT = _Chat()


def _as_messages(body: Mapping[str, Any]) -> dict[str, Any]:
    """The Messages request that a chat request corresponds to.

    Raises:
        ApiError: 400, with the field.
    """
    system: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    said: list[Any] = field_of(body, "messages", list)
    for index, message in enumerate(said):
        if not isinstance(message, dict):
            raise invalid(f"messages.{index}: Input should be a valid object")
        match message.get("role"):
            case "system" | "developer":
                system += _blocks(message.get("content"))
            case "tool":
                result = {"type": "tool_result", "tool_use_id": message.get("tool_call_id")}
                content = [{**result, "content": _blocks(message.get("content"))}]
                messages.append({"role": "user", "content": content})
            case "assistant":
                content = [*_blocks(message.get("content")), *_calls(message.get("tool_calls"))]
                messages.append({"role": "assistant", "content": content})
            case role:
                messages.append({"role": role, "content": _blocks(message.get("content"))})
    most = body.get("max_completion_tokens") or body.get("max_tokens") or _USUAL_MAX_TOKENS
    return {
        "model": body.get("model"),
        "max_tokens": most,
        "stream": body.get("stream"),
        "system": system,
        "messages": messages,
        "tools": _tools(body.get("tools")),
        "tool_choice": _choice(body.get("tool_choice")),
        "output_format": _format(body.get("response_format")),
    }


def _blocks(content: object) -> list[dict[str, Any]]:
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise invalid("messages.content: Input should be a valid string or list")
    return [part if "text" in part else {**part, "type": _kind(part)} for part in content]


def _kind(part: Mapping[str, Any]) -> str:
    return "image" if part.get("type") == "image_url" else str(part.get("type"))


def _calls(calls: object) -> list[dict[str, Any]]:
    found = []
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            given = _arguments(function.get("arguments"))
            block = {"type": "tool_use", "id": call.get("id"), "name": function.get("name")}
            found.append({**block, "input": given})
    return found


def _arguments(text: object) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return text


def _tools(tools: object) -> list[dict[str, Any]]:
    found = []
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict):
            raise invalid("tools: every tool needs a function")
        named = {key: function[key] for key in ("name", "description") if key in function}
        found.append({**named, "input_schema": function.get("parameters") or {}})
    return found


def _choice(choice: object) -> dict[str, Any] | None:
    if isinstance(choice, dict):
        function = choice.get("function")
        return {
            "type": "tool",
            "name": function.get("name") if isinstance(function, dict) else None,
        }
    return {"type": "any"} if choice == "required" else None


def _format(form: object) -> dict[str, Any] | None:
    if not isinstance(form, dict):
        return None
    named = form.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    return {"type": form.get("type"), "schema": schema}


def _head(reply: Reply, kind: str) -> dict[str, Any]:
    return {
        "id": reply.id.replace("msg_", "chatcmpl-", 1),
        "object": kind,
        "created": reply.created,
        "model": reply.model,
        "system_fingerprint": "simulated",
    }


def _chunk(
    head: Mapping[str, Any],
    delta: Mapping[str, Any],
    null: Mapping[str, None],
    tokens: int = 0,
    finish: str | None = None,
) -> Frame:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return Frame(_event({**head, "choices": [choice], **null}), tokens)


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + to_json(data) + b"\n\n"


def _text(reply: Reply) -> str | None:
    texts = [block.text for block in reply.answer.blocks if block.kind == "text"]
    return "".join(texts) if texts else None


def _finish(reply: Reply) -> str:
    return _FINISH.get(reply.answer.stop_reason, "stop")


def _usage(reply: Reply) -> dict[str, Any]:
    usage = reply.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
