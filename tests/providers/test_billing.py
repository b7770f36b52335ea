"""Streams are billed as a provider bills them, and a caller can tell the bill to the token."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.usage import Usage
from helios.providers.simulator.chat import CHAT
from helios.providers.simulator.content import (
    cut,
    deltas,
    make_answer,
    text_block,
    thinking_block,
    tool_block,
)
from helios.providers.simulator.dialect import MESSAGES, Dialect
from helios.providers.simulator.replies import Reply
from helios.providers.simulator.requests import Asked
from helios.providers.simulator.script import Conversation
from helios.providers.simulator.tokens import count_request, count_text

SCRIPT = """
answers:
  - when: {contains: hello}
    content:
      - thinking: "먼저 무엇이 있는지 보아야 한다. Then I decide what to do with all of it."
      - text: "안녕하세요. Let me look at every file here, and at the tests beside them too."
      - {tool: Bash, input: {command: "ls -la /home/지훈 && cat README.md && git log -20"}}
      - {tool: Read, input: {file_path: "결제/주문.py", lines: [1, 2, 3.5, null]}}
"""
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300)
TOOLS = [{"name": name, "input_schema": {"type": "object"}} for name in ("Bash", "Read")]


def asked(stream: bool = True) -> dict[str, Any]:
    messages = [{"role": "user", "content": "hello"}]
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 1000,
        "stream": stream,
        "messages": messages,
        "tools": TOOLS,
    }


def seen_blocks(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a stream said so far, as the content of an assistant's message: the gateway's rule.

    Texts and thinkings are themselves; a tool call, whole or not, is its name and its JSON as two
    texts.
    """
    blocks: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "content_block_start":
            kind = event["content_block"]["type"]
            if kind == "tool_use":
                blocks.append({"type": "text", "text": event["content_block"]["name"]})
            key = "thinking" if kind == "thinking" else "text"
            blocks.append({"type": key, key: ""})
        elif event["type"] == "content_block_delta":
            delta, block = event["delta"], blocks[-1]
            said = delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
            block[block["type"]] += said
    return blocks


async def count(client: httpx2.AsyncClient, *more: dict[str, Any]) -> int:
    body = {**asked(), "messages": [*asked()["messages"], *more]}
    answer = await client.post("/v1/messages/count_tokens", json=body)
    return int(answer.json()["input_tokens"])


async def events_of(answer: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line[6:])


async def bill_of(provider: Any) -> Any:
    for _ in range(200):
        if answers := provider.reading().answers:
            return answers[0]
        await asyncio.sleep(0.02)
    raise AssertionError("nothing was billed")


def with_client(simulate: Any, use: Any, **options: Any) -> None:
    async def scenario() -> None:
        async with (
            simulate(options.pop("script", SCRIPT), **options) as provider,
            httpx2.AsyncClient(base_url=provider.base_url, trust_env=False) as client,
        ):
            await use(client, provider)

    asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.parametrize("leave_after", [0, 1, 2, 3, 5, 8])
def test_a_client_that_hangs_up_is_billed_what_it_could_see(
    simulate: Any, leave_after: int
) -> None:
    """Whatever the client has seen when it leaves, count_tokens tells the bill of it exactly."""

    async def use(client: httpx2.AsyncClient, provider: Any) -> None:
        seen: list[dict[str, Any]] = []
        async with client.stream("POST", "/v1/messages", json=asked()) as answer:
            async for event in events_of(answer):
                seen.append(event)
                texts = [e["delta"] for e in seen if e["type"] == "content_block_delta"]
                if sum("signature" not in delta for delta in texts) > leave_after:
                    break
        billed = await bill_of(provider)
        assert not billed.whole
        said = {"role": "assistant", "content": seen_blocks(seen)}
        assert billed.usage.output_tokens == await count(client, said) - await count(client)
        assert billed.usage.input_tokens == await count(client)
        assert len(provider.reading().answers) == 1

    with_client(simulate, use, time_scale=10.0)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["cut", "stall", "error"])
def test_a_stream_that_breaks_is_billed_what_was_sent(simulate: Any, fault: str) -> None:
    async def use(client: httpx2.AsyncClient, provider: Any) -> None:
        seen: list[dict[str, Any]] = []
        try:
            async with client.stream("POST", "/v1/messages", json=asked()) as answer:
                async with asyncio.timeout(1 if fault == "stall" else 10):
                    async for event in events_of(answer):
                        seen.append(event)
        except (httpx2.TransportError, TimeoutError):
            assert fault != "error"
        billed = await bill_of(provider)
        assert (billed.fault, billed.whole) == (fault, False)
        assert (seen[-1]["type"] == "error") is (fault == "error")
        said = {"role": "assistant", "content": seen_blocks(seen)}
        assert billed.usage.output_tokens == await count(client, said) - await count(client)

    with_client(simulate, use, script=f"{SCRIPT}    fault: {fault}\n")


@pytest.mark.slow
@pytest.mark.parametrize("stream", [True, False])
def test_a_whole_answer_counts_as_an_assistants_message_what_it_was_billed(
    simulate: Any, stream: bool
) -> None:
    async def use(client: httpx2.AsyncClient, provider: Any) -> None:
        if stream:
            async with client.stream("POST", "/v1/messages", json=asked()) as answer:
                seen = [event async for event in events_of(answer)]
            content = seen_blocks(seen)
            assert seen[0]["message"]["usage"]["output_tokens"] == 1
            told = seen[-2]["usage"]
        else:
            message = (await client.post("/v1/messages", json=asked(stream=False))).json()
            content, told = message["content"], message["usage"]
            assert [block["type"] for block in content] == [
                "thinking",
                "text",
                "tool_use",
                "tool_use",
            ]
            assert message["stop_reason"] == "tool_use"
            assert len({block.get("id") for block in content if "id" in block}) == 2
        (billed,) = provider.reading().answers
        said = {"role": "assistant", "content": content}
        assert billed.whole
        assert billed.usage.output_tokens == told["output_tokens"]
        assert billed.usage.output_tokens == await count(client, said) - await count(client)

    with_client(simulate, use)


@pytest.mark.slow
def test_one_piece_is_billed_in_full_though_the_client_left(simulate: Any) -> None:
    async def use(client: httpx2.AsyncClient, provider: Any) -> None:
        with pytest.raises(httpx2.TimeoutException):
            await client.post("/v1/messages", json=asked(stream=False), timeout=0.1)
        assert provider.reading().answers == ()
        billed = await bill_of(provider)
        assert billed.whole
        assert billed.usage.output_tokens > 20

    with_client(simulate, use, time_scale=1.0)


@pytest.mark.slow
def test_who_leaves_before_the_first_byte_is_billed_the_input(simulate: Any) -> None:
    async def use(client: httpx2.AsyncClient, provider: Any) -> None:
        with pytest.raises(httpx2.TimeoutException):
            await client.post("/v1/messages", json=asked(), timeout=0.1)
        billed = await bill_of(provider)
        assert not billed.whole
        assert billed.usage == Usage(input_tokens=await count(client))

    with_client(simulate, use, time_scale=1.0)


@pytest.mark.slow
def test_closing_bills_a_stream_as_far_as_it_was_sent(simulate: Any) -> None:
    async def use(client: httpx2.AsyncClient, provider: Any) -> None:
        async with client.stream("POST", "/v1/messages", json=asked()) as answer:
            async for _ in events_of(answer):
                break
            await provider.close()
        (billed,) = provider.reading().answers
        assert not billed.whole
        assert 0 < billed.usage.output_tokens < 40

    with_client(simulate, use, time_scale=10.0)


@given(TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3), st.integers(1, 300))
def test_any_answer_cut_anywhere_is_counted_as_it_is_billed(
    text: str, thinking: str, arguments: dict[str, str], most: int
) -> None:
    answer = make_answer(thinking_block(thinking), text_block(text), tool_block("Bash", arguments))
    part = cut(answer, most)
    assert part.tokens == min(most, answer.tokens)
    assert part.tokens <= most
    sent = 0
    for block in part.blocks:
        sent += block.head_tokens
        said = ""
        for delta in deltas(block):
            said, sent = said + delta.text, sent + delta.tokens
            assert (
                count_text(said) == count_text(said[: len(said) - len(delta.text)]) + delta.tokens
            )
        assert said == block.text
    assert sent == part.tokens


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_blocks_add_up_in_a_request(texts: list[str]) -> None:
    def counted(content: Any) -> int:
        said = [{"role": "user", "content": "hello"}]
        if content is not None:
            said.append({"role": "assistant", "content": content})
        return count_request({"messages": said})

    content = [{"type": "text", "text": text} for text in texts]
    assert counted(content) - counted(None) == sum(count_text(text) for text in texts)
    assert counted(texts[0]) - counted(None) == count_text(texts[0])


def test_a_long_text_is_cut_at_the_same_places_as_it_is_counted() -> None:
    text = "한글과 code, mixed 123\n" * 12_000
    said = ""
    tokens = 0
    for delta in deltas(text_block(text)):
        said, tokens = said + delta.text, tokens + delta.tokens
        if tokens % 1200 == 0:
            assert count_text(said) == tokens
    assert count_text(said) == tokens


@pytest.mark.parametrize("dialect", [MESSAGES, CHAT], ids=["messages", "chat"])
@given(TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3), st.integers(1, 200))
def test_a_stream_sends_what_a_whole_answer_is_billed(
    dialect: Dialect, text: str, arguments: dict[str, str], most: int
) -> None:
    blocks = (thinking_block(text), tool_block("Bash", arguments), text_block(text))
    answer = cut(make_answer(*blocks, tool_block("읽기_file", {})), most)
    reply = Reply("msg_sim_1", "m", answer, Usage(9, answer.tokens))
    conversation = Conversation("m", "hello", 1, frozenset())
    frames = list(dialect.frames(reply, Asked(conversation, 9, most, stream=True)))
    assert sum(frame.tokens for frame in frames) == answer.tokens
    assert frames[0].tokens == frames[-1].tokens == 0
