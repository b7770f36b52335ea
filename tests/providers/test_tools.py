"""Conversations with several tools, in the Messages API and in Chat Completions alike."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from helios.domain.budget.estimate import input_bound
from helios.ports.models import Message, ModelRequest, Tool, ToolResult
from helios.providers.anthropic_messages import payload
from helios.providers.pydantic_models import open_openai

pytestmark = pytest.mark.slow

SCRIPT = """
answers:
  - when: {contains: "읽어", turn: 1}
    content:
      - text: "먼저 읽는다."
      - {tool: read_file, input: {path: "결제/주문.py"}}
  - when: {contains: "읽어", turn: 2}
    text: "다 읽었다."
"""
TOOLS = (
    Tool("read_file", "Reads.", {"type": "object", "properties": {"path": {"type": "string"}}}),
    Tool("answer", "Answers.", {"type": "object", "properties": {}}),
)


@pytest.mark.parametrize("vendor", ["anthropic", "openai"])
def test_a_tool_is_called_answered_and_gone_on_from(simulate: Any, vendor: str) -> None:
    async def scenario() -> None:
        async with simulate(SCRIPT) as simulator:
            provider = simulator
            if vendor == "openai":
                provider = open_openai("k", f"{simulator.base_url}/openai/v1")
            request = ModelRequest(
                "claude-haiku-5-5", "한국어로", (Message("user", "읽어 줘"),), 500, tools=TOOLS
            )
            first = await provider.call(request)
            (call,) = first.calls
            assert (call.name, call.arguments) == ("read_file", {"path": "결제/주문.py"})
            assert first.text.endswith("먼저 읽는다.")
            assert (first.tool_input, first.stop_reason) == (None, "tool_use")
            result = ToolResult(call.id, call.name, "주문은 비어 있다")
            turns = (
                *request.messages,
                Message("assistant", first.text, calls=first.calls),
                Message("user", "", results=(result,)),
            )
            second = await provider.call(replace(request, messages=turns))
            assert second.text.endswith("다 읽었다.")
            assert second.calls == ()
            bound = input_bound(replace(request, messages=turns).text_bytes)
            assert first.usage.prompt_tokens < second.usage.prompt_tokens <= bound
            await provider.close()

    asyncio.run(scenario())


def test_a_call_is_forced_where_the_model_takes_it_and_asked_for_elsewhere() -> None:
    asked = ModelRequest("claude-haiku-5-5", "", (Message("user", "x"),), 9, tools=TOOLS)
    assert payload(asked)["tool_choice"] == {"type": "auto"}
    forced = replace(asked, must_call=True)
    assert payload(forced)["tool_choice"] == {"type": "any"}
    refusing = payload(replace(forced, model="claude-sonnet-5-5"))
    assert refusing["tool_choice"] == {"type": "auto"}
    assert "one of the tools read_file, answer" in refusing["system"]
