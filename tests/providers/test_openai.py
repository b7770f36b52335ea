"""OpenAI and what speaks its Chat Completions: the real client and canned answers."""

import asyncio
from typing import Any

import pytest
from tests.providers.canned import Canned, CannedServer, canned

from helios.domain.usage import Usage
from helios.errors import (
    BadOutput,
    ConnectionLost,
    ModelError,
    ModelTimeout,
    Overloaded,
    RateLimited,
    RequestRefused,
)
from helios.ports.models import Message, ModelReply, ModelRequest, Tool, ToolCall, ToolResult
from helios.providers.pydantic_models import open_ollama, open_openai

pytestmark = pytest.mark.slow

USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 64},
    "completion_tokens_details": {"reasoning_tokens": 30},
}


def chat(
    text: str | None = "안녕하세요", finish: str = "stop", usage: Any = USAGE, **called: str
) -> dict[str, Any]:
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(called.items())
    ]
    message = {"role": "assistant", "content": text} | ({"tool_calls": calls} if calls else {})
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_800_000_000,
        "model": "gpt-5-mini-2026",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }


def called(request: ModelRequest, *answers: Canned) -> tuple[ModelReply, CannedServer]:
    """The reply to one call, and what the server saw of it."""

    async def scenario() -> tuple[ModelReply, CannedServer]:
        async with canned(*answers) as server:
            provider = open_openai("sk-test", f"{server.url}/v1")
            try:
                return await provider.call(request), server
            finally:
                await provider.close()

    return asyncio.run(scenario())


def failed(request: ModelRequest, *answers: Canned) -> ModelError:
    with pytest.raises(ModelError) as caught:
        called(request, *answers)
    return caught.value


def test_tokens_are_counted_once_each_and_thinking_is_output(ask: Any) -> None:
    reply, server = called(ask("인사", model="gpt-5-mini", max_tokens=77), Canned(chat()))
    assert reply.usage == Usage(input_tokens=36, output_tokens=50, cache_read_tokens=64)
    assert (reply.text, reply.stop_reason, reply.simulated) == ("안녕하세요", "end_turn", False)
    path, headers, body = server.asked[0]
    assert (path, headers["authorization"]) == ("/v1/chat/completions", "Bearer sk-test")
    assert body["max_completion_tokens"] == 77
    assert [m["role"] for m in body["messages"]] == ["system", "user"]
    assert "tools" not in body


def test_a_written_cache_is_taken_from_the_input() -> None:
    usage = {**USAGE, "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 20}}
    request = ModelRequest("gpt-5-mini", "", (Message("user", "x"),), 10)
    reply, _ = called(request, Canned(chat(usage=usage)))
    assert reply.usage == Usage(16, 50, cache_write_tokens=20, cache_read_tokens=64)


def test_a_tool_is_forced_and_its_answer_read(ask: Any, patch_tool: Tool) -> None:
    request = ask("고쳐 줘", "earlier", model="gpt-5-mini", tool=patch_tool)
    answer = chat(None, "tool_calls", submit_patch='{"summary": "나머지"}')
    reply, server = called(request, Canned(answer, headers={"x-helios-simulated": "true"}))
    assert (reply.tool_input, reply.stop_reason) == ({"summary": "나머지"}, "tool_use")
    assert reply.simulated
    body = server.asked[0][2]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    assert [m["role"] for m in body["messages"]] == ["system", "user", "assistant", "user"]


def test_an_answer_cut_off_inside_its_tool_call_is_cut_and_not_an_error(
    ask: Any, patch_tool: Tool
) -> None:
    request = ask("fix", model="gpt-5-mini", tool=patch_tool)
    reply, _ = called(request, Canned(chat(None, "length", submit_patch='{"summary": "나')))
    assert (reply.stop_reason, reply.tool_input) == ("max_tokens", None)


def test_a_conversation_with_tools_goes_out_and_comes_back(patch_tool: Tool) -> None:
    messages = (
        Message("user", "읽어 줘"),
        Message("assistant", "", calls=(ToolCall("c1", "read", {"path": "가.py"}),)),
        Message("user", "", results=(ToolResult("c1", "read", "내용"),)),
    )
    tools = (Tool("read", "Reads.", {"type": "object", "properties": {}}), patch_tool)
    request = ModelRequest("gpt-5-mini", "", messages, 100, tools=tools)
    reply, server = called(request, Canned(chat(None, "tool_calls", read="{}", submit_patch="{}")))
    assert [call.name for call in reply.calls] == ["read", "submit_patch"]
    body = server.asked[0][2]
    assert body["tool_choice"] == "auto"
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "tool"]
    assert body["messages"][2]["content"] == "내용"


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("gpt-5-mini", "max_completion_tokens"),
        ("openai/o3", "max_completion_tokens"),
        ("gpt-oss:20b", "max_tokens"),
        ("qwen3-coder", "max_tokens"),
    ],
)
def test_the_output_is_bounded_by_the_field_the_server_knows(model: str, field: str) -> None:
    _, server = called(ModelRequest(model, "", (Message("user", "x"),), 123), Canned(chat()))
    body = server.asked[0][2]
    assert body[field] == 123
    assert len({"max_tokens", "max_completion_tokens"} & set(body)) == 1


def test_ollama_is_asked_by_its_own_name_and_bounded() -> None:
    async def scenario() -> None:
        async with canned(Canned(chat("그래", usage={**USAGE, "prompt_tokens": 0}))) as server:
            provider = open_ollama(f"{server.url}/v1")
            request = ModelRequest("llama3:8b", "", (Message("user", "x"),), 99, timeout_s=10)
            with pytest.raises(BadOutput, match="what it used"):
                await provider.call(request)  # more was cached than read
            await provider.close()
        path, _, body = server.asked[0]
        assert (path, body["model"], body["max_tokens"]) == (
            "/v1/chat/completions",
            "llama3:8b",
            99,
        )

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "error", "billed"),
    [
        (400, RequestRefused, "no"),
        (401, RequestRefused, "no"),
        (404, RequestRefused, "no"),
        (408, ModelTimeout, "no"),
        (413, RequestRefused, "no"),
        (422, RequestRefused, "no"),
        (429, RateLimited, "no"),
        (500, Overloaded, "unknown"),
        (502, ConnectionLost, "unknown"),
        (503, Overloaded, "no"),
        (504, ConnectionLost, "unknown"),
        (529, Overloaded, "no"),
    ],
)
def test_every_status_says_what_is_certain(
    ask: Any, status: int, error: type[ModelError], billed: str
) -> None:
    answer = Canned({"error": {"message": "안 됩니다"}}, status, {"retry-after": "7"})
    found = failed(ask("x", model="gpt-5-mini"), answer, Canned(chat()))
    assert (type(found), found.billed) == (error, billed)
    assert "안 됩니다" in found.message
    assert found.retry_after_s == (None if error is RequestRefused else 7.0)


def test_a_quota_that_is_used_up_is_no_reason_to_wait(ask: Any) -> None:
    body = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    found = failed(ask("x", model="gpt-5-mini"), Canned(body, 429))
    assert (type(found), found.billed) == (RequestRefused, "no")
    assert "credit" in found.next_step


@pytest.mark.parametrize(
    "answer",
    [
        Canned(b"<html>proxy</html>"),
        Canned(b"not json", headers={"content-type": "text/plain"}),
        Canned({"choices": []}),
        Canned({}),
        Canned(chat(usage=None)),
        Canned(None),
    ],
)
def test_an_answer_that_is_none_is_charged_because_nobody_knows(ask: Any, answer: Canned) -> None:
    assert failed(ask("x", model="gpt-5-mini"), answer).billed == "unknown"


def test_silence_ends_at_the_timeout_after_one_request(ask: Any) -> None:
    request = ask("x", model="gpt-5-mini", timeout_s=0.3)
    found = failed(request, Canned(chat(), delay_s=30))
    assert (type(found), found.billed) == (ModelTimeout, "unknown")


def test_nobody_there_costs_nothing(ask: Any) -> None:
    async def scenario() -> ModelError:
        provider = open_openai("sk-test", "http://127.0.0.1:9/v1")
        try:
            with pytest.raises(ConnectionLost) as caught:
                await provider.call(ask("x", model="gpt-5-mini"))
        finally:
            await provider.close()
        return caught.value

    found = asyncio.run(scenario())
    assert found.billed == "no"
    assert "base URL" in found.next_step


def test_text_that_cannot_be_sent_costs_nothing(ask: Any) -> None:
    found = failed(ask("\udcff", model="gpt-5-mini"), Canned(chat()))
    assert (type(found), found.billed) == (RequestRefused, "no")


def test_an_error_is_not_tried_again(ask: Any) -> None:
    async def scenario() -> int:
        async with canned(Canned({"error": {"message": "x"}}, 503)) as server:
            provider = open_openai("sk-test", f"{server.url}/v1")
            with pytest.raises(Overloaded):
                await provider.call(ask("x", model="gpt-5-mini"))
            await provider.close()
            return len(server.asked)

    assert asyncio.run(scenario()) == 1
