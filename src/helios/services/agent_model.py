"""A model for any pydantic-ai agent whose calls Helios makes: budgeted, and made once.

    model = HeliosModel(responses, call)
    agent = Agent(model, output_type=Verdict, tools=[read_file])
    result = await agent.run("...")

Each request of the agent goes through `services.responses`: room is reserved before and settled
after, on whatever provider the model's name means. Requests are numbered in their order; an agent
that runs again after a crash, in the same order, gets the kept replies and pays for none twice. Its
tools do run again, so they must bear that. One instance serves one run of one agent.

Importing this module takes half a second, for pydantic-ai.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from anyio import CancelScope
from pydantic_ai.messages import (
    FinishReason,
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
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from helios.domain.usage import Usage
from helios.errors import RequestRefused
from helios.ports.models import Message, ModelReply, ModelRequest, Tool, ToolCall, ToolResult
from helios.services.responses import Call, Responses

_ENDS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_call",
    "refusal": "content_filter",
}


class HeliosModel(Model[None]):
    """A pydantic-ai model over `Responses`.

    Args:
        responses: makes the calls.
        call: whose they are, and what bounds them. Its request says the model, the most output and
            the timeout; what is said in it besides stands before the agent's own instructions.
            Numbers count up from the call's.
    """

    def __init__(self, responses: Responses, call: Call) -> None:
        super().__init__()
        self._responses = responses
        self._call = call
        self._next = call.number

    @property
    def model_name(self) -> str:
        """As Helios knows it, with its vendor."""
        return self._call.request.model

    @property
    def system(self) -> str:
        """Who makes the calls."""
        return "helios"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """One call.

        Raises:
            BudgetExhausted: there is no room; nothing was sent.
            ModelError: the provider failed, or the agent wants what Helios does not send on.
        """
        given, parameters = self.prepare_request(model_settings, model_request_parameters)
        asked = self._asked(messages, given or ModelSettings(), parameters)
        number, self._next = self._next, self._next + 1
        reply = await self._made(replace(self._call, request=asked, number=number))
        return _response(reply, asked.tool, number)

    async def _made(self, call: Call) -> ModelReply:
        """The call, in a task of its own, which is cancelled once and closes its books in peace.

        An agent runs in scopes of anyio, which would cancel every await of that closing as well.
        """
        making = asyncio.ensure_future(self._responses.ask(call))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            making.cancel()
            with CancelScope(shield=True):
                await asyncio.gather(making, return_exceptions=True)
            raise

    def _asked(
        self,
        messages: Sequence[ModelMessage],
        given: ModelSettings,
        parameters: ModelRequestParameters,
    ) -> ModelRequest:
        ours = self._call.request
        if parameters.native_tools:
            raise _refused("tools that the provider runs itself")
        tools = tuple(map(_tool, (*parameters.function_tools, *parameters.output_tools)))
        must_call = bool(tools) and not parameters.allow_text_output
        # A tool that is the only choice is forced by its name, which every vendor can.
        alone = must_call and len(tools) == 1
        instructions = self._get_instruction_parts(messages, parameters) or []
        system = [ours.system, *_system(messages), *(part.content for part in instructions)]
        return replace(
            ours,
            system="\n\n".join(text for text in system if text),
            messages=(*ours.messages, *_turns(messages)),
            max_tokens=min(ours.max_tokens, given.get("max_tokens") or ours.max_tokens),
            tool=tools[0] if alone else None,
            tools=() if alone else tools,
            must_call=must_call and not alone,
        )


def _system(messages: Sequence[ModelMessage]) -> list[str]:
    parts = [part for message in messages if isinstance(message, Asked) for part in message.parts]
    return [part.content for part in parts if isinstance(part, SystemPromptPart)]


def _turns(messages: Sequence[ModelMessage]) -> list[Message]:
    turns = [_said(m) if isinstance(m, ModelResponse) else _told(m.parts) for m in messages]
    return [turn for turn in turns if turn.text or turn.calls or turn.results]


def _said(answer: ModelResponse) -> Message:
    """A turn of the model; what it thought is not sent on."""
    calls = tuple(
        ToolCall(part.tool_call_id, part.tool_name, part.args_as_dict())
        for part in answer.parts
        if isinstance(part, ToolCallPart)
    )
    said = (part.content for part in answer.parts if isinstance(part, TextPart))
    return Message("assistant", "".join(said), calls=calls)


def _told(parts: Sequence[ModelRequestPart]) -> Message:
    texts: list[str] = []
    results: list[ToolResult] = []
    for part in parts:
        match part:
            case SystemPromptPart():
                pass
            case ToolReturnPart():
                text = part.model_response_str()
                results.append(ToolResult(part.tool_call_id, part.tool_name, text))
            case UserPromptPart(content=str() as text):
                texts.append(text)
            case UserPromptPart(content=content) if all(isinstance(c, str) for c in content):
                texts += [piece for piece in content if isinstance(piece, str)]
            case _:
                raise _refused(f"a {part.part_kind} that is not text")
    return Message("user", "\n\n".join(texts), results=tuple(results))


def _tool(tool: ToolDefinition) -> Tool:
    return Tool(tool.name, tool.description or "", tool.parameters_json_schema)


def _response(reply: ModelReply, forced: Tool | None, number: int) -> ModelResponse:
    parts: list[ModelResponsePart] = [TextPart(reply.text)] if reply.text else []
    if forced and reply.tool_input is not None:
        given = dict(reply.tool_input)
        parts.append(ToolCallPart(forced.name, given, tool_call_id=f"call_{number}"))
    for call in reply.calls:
        parts.append(ToolCallPart(call.name, dict(call.arguments), tool_call_id=call.id))
    return ModelResponse(
        parts,
        usage=_usage(reply.usage),
        model_name=reply.model,
        provider_name="helios",
        finish_reason=_ENDS.get(reply.stop_reason),
        provider_details={"finish_reason": reply.stop_reason, "simulated": reply.simulated},
    )


def _usage(used: Usage) -> RequestUsage:
    return RequestUsage(
        input_tokens=used.prompt_tokens,
        output_tokens=used.output_tokens,
        cache_read_tokens=used.cache_read_tokens,
        cache_write_tokens=used.cache_write_tokens,
        cache_write_1h_tokens=used.cache_write_1h_tokens,
    )


def _refused(what: str) -> RequestRefused:
    return RequestRefused(
        f"an agent on Helios cannot send {what}",
        billed="no",
        next_step="Give it text and functions, or count this call over the HTTP API.",
    )
