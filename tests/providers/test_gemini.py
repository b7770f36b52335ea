"""Gemini: the real client against a server of canned answers in the API's own form."""

import asyncio
from typing import Any

import pytest
from tests.providers.canned import Canned, CannedServer, canned

from helios.domain.usage import Usage
from helios.errors import ConnectionLost, ModelError, Overloaded, RateLimited, RequestRefused
from helios.ports.models import Message, ModelReply, ModelRequest, Tool
from helios.providers.gemini import open_google

pytestmark = pytest.mark.slow

USED = {
    "promptTokenCount": 100,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 30,
    "cachedContentTokenCount": 40,
    "totalTokenCount": 150,
}


def content(*parts: dict[str, Any], finish: str = "STOP", **more: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish, **more}
    return {"candidates": [candidate], "usageMetadata": USED, "modelVersion": "gemini-2.5-flash"}


def called(request: ModelRequest, *answers: Canned) -> tuple[ModelReply, CannedServer]:
    async def scenario() -> tuple[ModelReply, CannedServer]:
        async with canned(*answers) as server:
            provider = open_google("key-test", server.url)
            try:
                return await provider.call(request), server
            finally:
                await provider.close()

    return asyncio.run(scenario())


def plain(text: str = "안녕", **more: Any) -> ModelRequest:
    return ModelRequest("gemini-2.5-flash", "돕는다", (Message("user", text),), 64, **more)


def test_thinking_is_output_and_cached_input_is_apart() -> None:
    answer = content({"text": "hm", "thought": True}, {"text": "네"})
    reply, server = called(plain(), Canned(answer, headers={"x-helios-simulated": "true"}))
    assert reply.usage == Usage(input_tokens=60, output_tokens=50, cache_read_tokens=40)
    assert (reply.text, reply.stop_reason, reply.simulated) == ("네", "end_turn", True)
    path, headers, body = server.asked[0]
    assert path == "/v1beta/models/gemini-2.5-flash:generateContent"
    assert headers["x-goog-api-key"] == "key-test"
    assert body["generationConfig"]["maxOutputTokens"] == 64
    assert body["systemInstruction"]["parts"] == [{"text": "돕는다"}]


def test_a_tool_is_forced(patch_tool: Tool) -> None:
    call = {"functionCall": {"name": "submit_patch", "args": {"summary": "나머지"}}}
    reply, server = called(plain(tool=patch_tool), Canned(content(call)))
    assert reply.tool_input == {"summary": "나머지"}
    assert server.asked[0][2]["toolConfig"]["functionCallingConfig"]["mode"] == "ANY"


def test_a_long_answer_is_cut_and_never_gone_on_with_unasked() -> None:
    part = content({"text": "첫째"}, finish="CONTINUATION", continuationToken="bmV4dA==")
    reply, server = called(plain(), Canned(part), Canned(content({"text": "둘째"})))
    assert len(server.asked) == 1, "nobody reserved for a second request"
    assert (reply.text, reply.stop_reason) == ("첫째", "max_tokens")
    cut, _ = called(plain(), Canned(content({"text": "끝"}, finish="MAX_TOKENS")))
    assert cut.stop_reason == "max_tokens"


@pytest.mark.parametrize(
    ("status", "name", "error", "billed"),
    [
        (400, "INVALID_ARGUMENT", RequestRefused, "no"),
        (403, "PERMISSION_DENIED", RequestRefused, "no"),
        (429, "RESOURCE_EXHAUSTED", RateLimited, "no"),
        (500, "INTERNAL", Overloaded, "unknown"),
        (503, "UNAVAILABLE", Overloaded, "no"),
        (504, "DEADLINE_EXCEEDED", ConnectionLost, "unknown"),
    ],
)
def test_every_status_says_what_is_certain(
    status: int, name: str, error: type[ModelError], billed: str
) -> None:
    body = {"error": {"code": status, "message": "안 됩니다", "status": name}}
    with pytest.raises(ModelError) as caught:
        called(plain(), Canned(body, status), Canned(content({"text": "no retry"})))
    assert (type(caught.value), caught.value.billed) == (error, billed)
    assert "안 됩니다" in caught.value.message


@pytest.mark.parametrize("answer", [Canned({}), Canned(b"<html>"), Canned(None)])
def test_an_answer_that_is_none_is_charged_because_nobody_knows(answer: Canned) -> None:
    with pytest.raises(ModelError) as caught:
        called(plain(), answer)
    assert caught.value.billed == "unknown"
