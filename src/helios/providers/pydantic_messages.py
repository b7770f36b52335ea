"""Requests and replies in the form of pydantic-ai. Values in, values out."""

from collections.abc import Mapping
from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.messages import ModelRequest as Asked
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from helios.domain.usage import Usage
from helios.errors import BadOutput
from helios.ports.models import Message, ModelReply, ModelRequest, Tool, ToolCall
from helios.providers.anthropic_messages import ask_to_call

STOPS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_call": "tool_use",
    "content_filter": "refusal",
}
"""Why an answer ended, in the words of the Messages API, which the rest of Helios uses."""


def conversation(request: ModelRequest) -> list[ModelMessage]:
    """The turns; a forced tool is asked for in words as well, because not every server forces."""
    system = request.system
    if request.forced:
        system = f"{system}\n\n{ask_to_call(request)}".strip()
    turns = [_turn(message) for message in request.messages]
    if not system:
        return turns
    return [Asked([SystemPromptPart(system)]), *turns]


def parameters(request: ModelRequest) -> ModelRequestParameters:
    """The tools, forced where the request says so and the model accepts it."""
    tools = [_definition(tool) for tool in request.offered]
    if request.forced:
        return ModelRequestParameters(
            output_tools=tools, output_mode="tool", allow_text_output=False
        )
    return ModelRequestParameters(function_tools=tools)


def settings(request: ModelRequest) -> ModelSettings:
    """One attempt, bounded in output and time."""
    bounded = ModelSettings(max_tokens=request.max_tokens, timeout=request.timeout_s, max_retries=0)
    if request.tool:
        bounded["parallel_tool_calls"] = False
    return bounded


def read_reply(
    name: str, request: ModelRequest, answer: ModelResponse, *, simulated: bool
) -> ModelReply:
    """The reply in an answer.

    Raises:
        BadOutput: it does not say what it used.
    """
    called = [part for part in answer.parts if isinstance(part, ToolCallPart)]
    calls = tuple(
        ToolCall(part.tool_call_id, part.tool_name, arguments)
        for part in called
        if (arguments := _arguments(part)) is not None
    )
    wanted = request.tool.name if request.tool else None
    return ModelReply(
        model=answer.model_name or request.model,
        text="".join(part.content for part in answer.parts if isinstance(part, TextPart)),
        tool_input=next((call.arguments for call in calls if call.name == wanted), None),
        stop_reason=STOPS.get(answer.finish_reason or "", answer.finish_reason or ""),
        usage=read_usage(name, answer.usage),
        simulated=simulated,
        calls=calls if request.tools else (),
    )


def read_usage(name: str, used: RequestUsage) -> Usage:
    """The tokens by price: theirs count cached ones among the input, and thinking as output.

    Raises:
        BadOutput: nothing was counted, or more was cached than read.
    """
    plain = used.input_tokens - used.cache_read_tokens - used.cache_write_tokens
    if used.unmeasured_requests or not used.total_tokens or plain < 0 or used.output_tokens < 0:
        raise BadOutput(f"{name}: the answer does not say what it used", billed="unknown")
    return Usage(
        input_tokens=plain,
        output_tokens=used.output_tokens,
        cache_write_tokens=used.cache_write_tokens,
        cache_read_tokens=used.cache_read_tokens,
    )


def _turn(message: Message) -> ModelMessage:
    if message.role == "assistant":
        said: list[ModelResponsePart] = [TextPart(message.text)] if message.text else []
        for call in message.calls:
            said.append(ToolCallPart(call.name, dict(call.arguments), tool_call_id=call.id))
        return ModelResponse(said)
    asked: list[ModelRequestPart] = [
        ToolReturnPart(result.name, result.text, tool_call_id=result.id)
        for result in message.results
    ]
    if message.text or not asked:
        asked.append(UserPromptPart(message.text))
    return Asked(asked)


def _definition(tool: Tool) -> ToolDefinition:
    return ToolDefinition(
        name=tool.name,
        parameters_json_schema=dict(tool.schema),
        description=tool.description,
    )


def _arguments(part: ToolCallPart) -> dict[str, Any] | None:
    """None where the answer was cut off in the middle of them."""
    try:
        return part.args_as_dict(raise_if_invalid=True)
    except (ValueError, AssertionError):
        return None
