"""The second dialect, through OpenAI's own client."""

import asyncio
import json
from typing import Any

import httpx2
import openai
import pytest

from helios.providers.simulator.making import AnswerMode, Maker

pytestmark = pytest.mark.slow

SCRIPT = """
answers:
  - when: {contains: hello, results: 1}
    text: "끝났습니다. It is done."
  - when: {contains: hello, system: "mend code"}
    content:
      - thinking: Let me think.
      - text: "안녕하세요. I will look at two things."
      - {tool: ls, input: {path: "/집"}}
      - {tool: cat, input: {path: "a.py", lines: [1, 2]}}
  - when: {contains: cut}
    text: "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    fault: cut
"""
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("ls", "cat")
]


def asked(text: str = "hello", *more: dict[str, Any]) -> dict[str, Any]:
    system = {"role": "system", "content": "You mend code."}
    messages: Any = [system, {"role": "user", "content": text}, *more]
    return {"model": "gpt-6", "messages": messages, "tools": TOOLS}


def with_openai(simulate: Any, use: Any, path: str = "/openai/v1", **options: Any) -> None:
    async def scenario() -> None:
        async with (
            simulate(options.pop("script", SCRIPT), **options) as provider,
            openai.AsyncOpenAI(
                api_key="k", base_url=provider.base_url + path, max_retries=0
            ) as client,
        ):
            await use(client, provider)

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["/v1", "/openai/v1"])
def test_text_and_tool_calls_in_one_answer(simulate: Any, path: str) -> None:
    async def use(client: Any, provider: Any) -> None:
        raw = await client.chat.completions.with_raw_response.create(**asked())
        assert raw.headers["x-helios-simulated"] == "true"
        answer = raw.parse()
        choice = answer.choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content == "[simulated] 안녕하세요. I will look at two things."
        calls = [(c.function.name, json.loads(c.function.arguments)) for c in
                 choice.message.tool_calls]  # fmt: skip
        assert calls == [("ls", {"path": "/집"}), ("cat", {"path": "a.py", "lines": [1, 2]})]
        (billed,) = provider.reading().answers
        assert answer.usage.prompt_tokens == billed.usage.input_tokens
        assert answer.usage.completion_tokens == billed.usage.output_tokens
        assert billed.model == "gpt-6"
        results = [
            choice.message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": choice.message.tool_calls[0].id, "content": "목록"},
        ]
        done = await client.chat.completions.create(**asked("hello", *results))
        assert done.choices[0].message.content == "[simulated] 끝났습니다. It is done."

    with_openai(simulate, use, path)


@pytest.mark.parametrize("with_usage", [True, False])
def test_a_stream_gives_the_same(simulate: Any, with_usage: bool) -> None:
    async def use(client: Any, provider: Any) -> None:
        options = {"stream_options": {"include_usage": True}} if with_usage else {}
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(
                **asked(), stream=True, **options
            )
        ]
        text, calls = "", {}
        for chunk in chunks:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for call in choice.delta.tool_calls or ():
                    name, arguments = calls.get(call.index, ("", ""))
                    function = call.function
                    calls[call.index] = (
                        name + (function.name or ""),
                        arguments + function.arguments,
                    )
        assert text == "[simulated] 안녕하세요. I will look at two things."
        assert calls == {
            0: ("ls", '{"path": "/집"}'),
            1: ("cat", '{"path": "a.py", "lines": [1, 2]}'),
        }
        finished = [c.choices[0].finish_reason for c in chunks if c.choices]
        assert finished[-1] == "tool_calls"
        (billed,) = provider.reading().answers
        assert billed.whole
        if with_usage:
            assert chunks[-1].choices == []
            assert chunks[-1].usage.completion_tokens == billed.usage.output_tokens
            assert chunks[-1].usage.prompt_tokens == billed.usage.input_tokens
        else:
            assert all(chunk.usage is None for chunk in chunks)

    with_openai(simulate, use)


def test_a_stream_ends_with_done_and_a_cut_one_does_not(simulate: Any) -> None:
    async def scenario() -> None:
        async with (
            simulate(SCRIPT) as provider,
            httpx2.AsyncClient(base_url=provider.base_url, trust_env=False) as client,
        ):
            whole = await client.post("/v1/chat/completions", json={**asked(), "stream": True})
            assert whole.text.endswith("data: [DONE]\n\n")
            text, broken = "", False
            try:
                async with client.stream(
                    "POST", "/v1/chat/completions", json={**asked("cut"), "stream": True}
                ) as answer:
                    async for part in answer.aiter_text():
                        text += part
            except httpx2.TransportError:
                broken = True
            assert broken
            said = [json.loads(line[6:]) for line in text.splitlines() if line]
            shown = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in said)
            _, cut_bill = provider.reading().answers
            count = {"model": "m", "messages": [{"role": "user", "content": shown}]}
            counted = await client.post("/v1/messages/count_tokens", json=count)
            assert not cut_bill.whole
            assert cut_bill.usage.output_tokens == counted.json()["input_tokens"] - 8

    asyncio.run(scenario())


def test_models_and_errors_have_the_dialects_shape(simulate: Any) -> None:
    async def use(client: Any, provider: Any) -> None:
        assert "claude-haiku-5-5" in [model.id async for model in client.models.list()]
        assert (await client.models.retrieve("claude-haiku-5-5")).owned_by == "simulated"
        with pytest.raises(openai.BadRequestError, match="no recorded answer") as caught:
            await client.chat.completions.create(**asked("unheard of"))
        assert caught.value.body["type"] == "invalid_request_error"
        with pytest.raises(openai.BadRequestError, match=r"messages\.0"):
            await client.chat.completions.create(model="m", messages=[3])
        assert provider.reading().answers == ()

    with_openai(simulate, use)


def test_a_tool_that_is_insisted_on_is_called_though_nothing_is_recorded(simulate: Any) -> None:
    async def use(client: Any, _: Any) -> None:
        schema = {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "kind": {"enum": ["a", "b"]},
                "many": {"type": "array", "items": {"type": "integer"}, "minItems": 2},
                "left": {"type": "string"},
            },
            "required": ["name", "kind", "many"],
        }
        tool = {"type": "function", "function": {"name": "answer", "parameters": schema}}
        done = await client.chat.completions.create(
            model="gpt-6",
            messages=[{"role": "user", "content": "무엇이든"}],
            tools=[tool],
            tool_choice="required",
        )
        call = done.choices[0].message.tool_calls[0].function
        assert call.name == "answer"
        assert json.loads(call.arguments) == {"name": "simulated", "kind": "a", "many": [0, 0]}

    with_openai(simulate, use, maker=Maker(AnswerMode.ECHO))
