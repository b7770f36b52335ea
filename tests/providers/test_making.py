"""Answers that are made up, and delays: drawn from a seed, so that they can be had again."""

import asyncio
import json
from statistics import median
from typing import Any

import anthropic
import httpx2
import pytest

from helios.errors import UsageError
from helios.providers.simulator.faults import Fault, read_rate
from helios.providers.simulator.latency import Lengths, delay_of, read_latency, read_lengths
from helios.providers.simulator.making import AnswerMode, Maker, smallest


def text_of(maker: Maker, digest: str = "a1", last: str = "안녕") -> str:
    answer = maker.make(last, digest, None)
    assert answer is not None
    return answer.blocks[0].text


def test_nothing_is_made_up_unless_it_is_asked_for() -> None:
    assert Maker().make("hello", "a1", None) is None
    assert text_of(Maker(AnswerMode.ECHO)) == "simulated: 안녕"


def test_lengths_are_spread_around_their_median_and_come_again() -> None:
    maker = Maker(AnswerMode.LOREM, Lengths(200, 0.5, 1_000), seed=3)
    answers = [maker.make("", f"{n:x}", None) for n in range(300)]
    tokens = [answer.tokens for answer in answers if answer]
    assert 170 < median(tokens) < 240
    assert len(set(tokens)) > 100
    assert max(tokens) <= 1_000
    again = [maker.make("", f"{n:x}", None) for n in range(300)]
    assert again == answers
    other = Maker(AnswerMode.LOREM, Lengths(200, 0.5, 1_000), seed=4)
    assert [other.make("", f"{n:x}", None) for n in range(300)] != answers
    assert text_of(maker).startswith("simulated: lorem ipsum")


def test_delays_are_those_of_the_profile() -> None:
    latency = read_latency("first=200,per-token=20,spread=0.3")
    delays = [delay_of("m", 100, f"{n:x}", 0.5, latency=latency) for n in range(300)]
    assert 0.09 < median(delay.first_s for delay in delays) < 0.11
    assert 0.9 < median(delay.rest_s for delay in delays) < 1.1
    assert delays == [delay_of("m", 100, f"{n:x}", 0.5, latency=latency) for n in range(300)]
    assert delay_of("m", 100, "a", 0.0, latency=latency).whole_s == 0
    steady = delay_of("m", 10, "a", 1.0, latency=read_latency("first=200,per-token=20"))
    assert steady.whole_s == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("read", "text", "cure"),
    [
        (read_latency, "quick", "first=200"),
        (read_latency, "first=soon", "fast"),
        (read_latency, "first=-1", "fast"),
        (read_lengths, "median=200,wide=3", "median=200"),
        (read_rate, "boom=0.1", "usage-above-estimate"),
        (read_rate, "cut=2", "cut=0.1"),
    ],
)
def test_what_is_not_understood_says_how_to_write_it(read: Any, text: str, cure: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(text)
    assert text in caught.value.message
    assert cure in caught.value.next_step


def test_names_of_faults_may_be_written_with_either_dash() -> None:
    assert read_rate("missing_usage=1") == (Fault.MISSING_USAGE, 1.0)
    assert read_rate("above_estimate=0.5") == (Fault.ABOVE_ESTIMATE, 0.5)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "minLength": 12}, "simulated..."),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
        ({"type": ["integer", "null"], "minimum": 3}, 3),
        ({"const": 7}, 7),
        ({"properties": {"a": {"type": "boolean"}}, "required": ["a"]}, {"a": False}),
        (None, None),
    ],
)
def test_the_smallest_value_of_a_schema(schema: Any, value: Any) -> None:
    assert smallest(schema) == value


@pytest.mark.slow
def test_a_fault_by_header_is_obeyed_only_where_it_was_allowed(simulate: Any) -> None:
    async def scenario(fault_header: bool) -> tuple[int, Any]:
        async with (
            simulate(fault_header=fault_header) as provider,
            httpx2.AsyncClient(base_url=provider.base_url, trust_env=False) as client,
        ):
            asked = {
                "model": "m",
                "max_tokens": 9,
                "messages": [{"role": "user", "content": "hello"}],
            }
            answer = await client.post(
                "/v1/messages", json=asked, headers={"x-helios-fault": "529", "x-helios-task": "t"}
            )
            return answer.status_code, [each.labels for each in provider.reading().answers]

    assert asyncio.run(scenario(fault_header=True)) == (529, [])
    assert asyncio.run(scenario(fault_header=False)) == (200, [{"task": "t"}])


@pytest.mark.slow
def test_everything_a_client_may_send_is_accepted(simulate: Any) -> None:
    """Server tools, images, documents, thinking, unknown fields: as SDKs and the CLI send them."""
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    content: list[Any] = [
        {
            "type": "text",
            "text": "무엇이 보이나요?",
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"type": "image", "source": source},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "document", "source": {**source, "media_type": "application/pdf"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "글"}},
    ]
    used = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}}
    thought = {"type": "thinking", "thinking": "음", "signature": "x"}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, "is_error": True}
    asked: dict[str, Any] = {
        "model": "claude-opus-4-8",
        "max_tokens": 64_000,
        "system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197;"}],
        "messages": [
            {"role": "user", "content": content},
            {"role": "system", "content": "a reminder"},
            {"role": "assistant", "content": [thought, used]},
            {"role": "user", "content": [result]},
        ],
        "tools": [
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
            {
                "name": "Bash",
                "description": "run",
                "input_schema": {"$ref": "#/x", "type": "object"},
            },
        ],
        "thinking": {"type": "adaptive"},
        "metadata": {"user_id": '{"session_id": "s"}'},
        "context_management": {"edits": []},
        "output_config": {"effort": "high"},
        "something_new": [1],
    }

    async def scenario() -> None:
        async with simulate(maker=Maker(AnswerMode.LOREM)) as provider:
            url = provider.base_url
            for headers in ({"x-api-key": "k"}, {"authorization": "Bearer k"}):
                async with httpx2.AsyncClient(
                    base_url=url, headers={**headers, "anthropic-beta": "new-2027"}
                ) as client:
                    answer = await client.post("/v1/messages?beta=true", json=asked)
                    assert answer.status_code == 200
                    told = answer.json()["usage"]
                    count = await client.post("/v1/messages/count_tokens?beta=true", json=asked)
                    billed = provider.reading().answers[-1].usage
                    assert count.json()["input_tokens"] == billed.prompt_tokens
                    assert told["input_tokens"] == billed.input_tokens
                    assert (await client.head("/api/hello")).status_code == 200
            async with anthropic.AsyncAnthropic(auth_token="k", base_url=url) as sdk:
                first = await sdk.models.list(limit=1)
                assert first.has_more
                every = [model.id async for model in sdk.models.list(limit=1)]
                assert len(every) == len(set(every)) > 2

    asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.parametrize("text", ["hello", "{}"])
def test_where_json_is_demanded_the_text_is_json_alone(simulate: Any, text: str) -> None:
    script = """answers: [{when: {contains: hello}, text: '{"name": "지훈"}'}]"""
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    form = {"type": "json_schema", "schema": schema}
    asked = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": text}]}
    name = "지훈" if text == "hello" else "simulated"

    async def scenario() -> None:
        async with (
            simulate(script, maker=Maker(AnswerMode.LOREM)) as provider,
            httpx2.AsyncClient(base_url=provider.base_url, trust_env=False) as client,
        ):
            sent = {**asked, "output_config": {"format": form}}
            answer = (await client.post("/v1/messages", json=sent)).json()
            assert json.loads(answer["content"][0]["text"]) == {"name": name}
            form_chat = {"type": "json_schema", "json_schema": {"schema": schema}}
            sent = {**asked, "response_format": form_chat}
            answer = (await client.post("/v1/chat/completions", json=sent)).json()
            assert json.loads(answer["choices"][0]["message"]["content"]) == {"name": name}

    asyncio.run(scenario())
