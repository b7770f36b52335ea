"""Counting input: what is counted is what is billed, and a failure to count costs nothing."""

import asyncio
import json
from typing import Any

import pytest
from tests.providers.test_failures import endpoint

from helios.domain.budget.estimate import counted_bound, input_bound
from helios.domain.usage import Usage
from helios.errors import BadOutput, ConnectionLost, ModelError, ModelTimeout, Overloaded
from helios.ports.models import Tool
from helios.providers.anthropic_api import AnthropicProvider
from helios.providers.anthropic_messages import count_payload, payload, read_reply


@pytest.mark.parametrize("with_tool", [True, False])
@pytest.mark.parametrize("model", ["claude-haiku-5-5", "claude-sonnet-5-5"])
def test_what_is_counted_is_what_is_billed(
    simulate: Any, ask: Any, patch_tool: Tool, model: str, with_tool: bool
) -> None:
    tool = patch_tool if with_tool else None
    request = ask("Task: fix-gcd 인사를 해 주세요. " * 500, "먼저", model=model, tool=tool)

    async def scenario() -> None:
        async with simulate() as provider:
            counted = await provider.count_tokens(request)
            assert provider.reading().answers == ()
            reply = await provider.call(request)
        assert reply.usage.prompt_tokens == counted
        assert counted < counted_bound(counted) < input_bound(request.text_bytes)

    asyncio.run(scenario())


def test_only_what_is_no_input_is_left_out_of_the_count(ask: Any, patch_tool: Tool) -> None:
    request = ask("안녕", tool=patch_tool)
    assert {**count_payload(request), "max_tokens": request.max_tokens} == payload(request)


def answer(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\nconnection: close\r\n\r\n" + body


@pytest.mark.parametrize("status", ["404 Not Found", "405 Method Not Allowed", "400 Bad Request"])
def test_an_endpoint_that_cannot_count_says_nothing(ask: Any, status: str) -> None:
    async def scenario() -> None:
        async with endpoint(answer(status, b"{}")) as provider:
            assert await provider.count_tokens(ask()) is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (answer("500 Internal Server Error", b"{}"), Overloaded),
        (answer("529 Overloaded", b"{}"), Overloaded),
        (answer("200 OK", b'{"input_tokens": null}'), BadOutput),
        (answer("200 OK", b'{"input_tokens": -1}'), BadOutput),
        (answer("200 OK", b'{"input_tokens": true}'), BadOutput),
        (answer("200 OK", b"[]"), BadOutput),
        (b"nonsense", ConnectionLost),
        (None, ModelTimeout),
    ],
)
def test_a_failed_count_is_an_error_that_cost_nothing(
    ask: Any, said: bytes | None, error: type[ModelError]
) -> None:
    async def scenario() -> None:
        async with endpoint(said) as provider:
            with pytest.raises(error) as caught:
                await provider.count_tokens(ask(timeout_s=0.5 if said is None else 10.0))
            assert caught.value.billed == "no"

    asyncio.run(scenario())


def test_nobody_there_is_an_error_that_cost_nothing(ask: Any) -> None:
    async def scenario() -> None:
        provider = AnthropicProvider("k", "http://127.0.0.1:9", simulated=True)
        with pytest.raises(ConnectionLost) as caught:
            await provider.count_tokens(ask())
        assert caught.value.billed == "no"
        await provider.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("created", "written", "hour"),
    [
        (None, 700, 0),
        ({"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 400}, 700, 400),
        ({"ephemeral_1h_input_tokens": 900}, 900, 900),
    ],
)
def test_the_hour_in_the_cache_is_told_apart(
    ask: Any, created: Any, written: int, hour: int
) -> None:
    usage = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_creation_input_tokens": 700,
        "cache_read_input_tokens": 3,
        "cache_creation": created,
    }
    body = json.dumps({"content": [], "usage": usage}).encode()
    reply = read_reply("p", ask(), body, simulated=True)
    assert reply.usage == Usage(1, 2, written, 3, cache_write_1h_tokens=hour)
