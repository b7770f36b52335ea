"""The Messages API as unmodified clients see it."""

import asyncio
import json
import logging
import signal
from contextlib import suppress
from typing import Any

import anthropic
import httpx2
import pytest

from helios.errors import ConnectionLost
from helios.providers.anthropic_api import AnthropicProvider
from helios.providers.simulator.answering import NO_ANSWER

pytestmark = pytest.mark.slow


def body(**changes: Any) -> dict[str, Any]:
    usual = {
        "model": "claude-haiku-5-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hello"}],
    }
    return {key: value for key, value in {**usual, **changes}.items() if value is not None}


def said(content: Any) -> dict[str, Any]:
    return body(messages=[{"role": "user", "content": content}])


def with_client(simulate: Any, use: Any, **options: Any) -> None:
    async def scenario() -> None:
        async with (
            simulate(**options) as provider,
            httpx2.AsyncClient(base_url=provider.base_url, trust_env=False) as client,
        ):
            await use(client, provider)

    asyncio.run(scenario())


def with_sdk(simulate: Any, use: Any, **options: Any) -> None:
    async def scenario() -> None:
        async with (
            simulate(**options) as provider,
            anthropic.AsyncAnthropic(
                api_key="k", base_url=provider.base_url, max_retries=0
            ) as client,
        ):
            await use(client, provider)

    asyncio.run(scenario())


def test_an_answer_carries_the_fields_and_headers_of_the_api(simulate: Any) -> None:
    async def use(client: Any, _: Any) -> None:
        answer = await client.post("/v1/messages?beta=true", json=body())
        message = answer.json()
        assert answer.status_code == 200
        assert (message["type"], message["role"]) == ("message", "assistant")
        assert message["id"].startswith("msg_sim_")
        assert answer.headers["x-helios-simulated"] == "true"
        assert answer.headers["request-id"].startswith("req_sim_")
        assert int(answer.headers["anthropic-ratelimit-requests-remaining"]) > 0
        assert answer.headers["anthropic-ratelimit-tokens-reset"].endswith("Z")

    with_client(simulate, use)


def test_a_stream_has_the_events_of_the_api_in_their_order(simulate: Any) -> None:
    async def use(client: Any, provider: Any) -> None:
        async with client.stream("POST", "/v1/messages", json=body(stream=True)) as answer:
            assert answer.headers["x-helios-simulated"] == "true"
            lines = [line async for line in answer.aiter_lines()]
        kinds = [line.removeprefix("event: ") for line in lines if line.startswith("event:")]
        data = [json.loads(line[6:]) for line in lines if line.startswith("data:")]
        assert [event["type"] for event in data] == kinds
        assert kinds[:3] == ["message_start", "ping", "content_block_start"]
        assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        assert set(kinds[3:-3]) == {"content_block_delta"}
        billed = provider.reading().answers[0]
        assert data[0]["message"]["usage"]["input_tokens"] == billed.usage.input_tokens
        assert data[-2]["usage"]["output_tokens"] == billed.usage.output_tokens
        assert data[0]["message"]["id"] == billed.message

    with_client(simulate, use)


@pytest.mark.parametrize("time_scale", [0.0, 0.3])
def test_the_sdk_reads_streamed_text_and_tools(simulate: Any, time_scale: float) -> None:
    async def use(client: Any, provider: Any) -> None:
        async with client.messages.stream(**body()) as stream:
            message = await stream.get_final_message()
        assert message.content[0].text == "[simulated] Good morning to you."
        tool = {"name": "submit_patch", "input_schema": {"type": "object"}}
        asked = {**said("Task: fix-gcd"), "tools": [tool], "model": "claude-opus-5-5"}
        async with client.messages.stream(**asked) as stream:
            message = await stream.get_final_message()
        assert message.stop_reason == "tool_use"
        assert message.content[0].input["summary"] == "나머지가 0이 될 때까지 나눈다"
        assert len(provider.reading().answers) == 2

    with_sdk(simulate, use, time_scale=time_scale)


@pytest.mark.parametrize("fault", ["cut", "malformed", "missing-usage"])
def test_a_faulty_stream_breaks_where_it_should(simulate: Any, fault: str) -> None:
    async def use(client: Any, provider: Any) -> None:
        text, broken = "", False
        try:
            async with client.stream("POST", "/v1/messages", json=body(stream=True)) as answer:
                async for part in answer.aiter_text():
                    text += part
        except httpx2.TransportError:
            broken = True
        data = [line[6:] for line in text.splitlines() if line.startswith("data:")]
        assert "message_start" in data[0]
        assert broken is (fault == "cut")
        assert ("message_stop" in text) is (fault != "cut")
        if fault == "malformed":
            with pytest.raises(ValueError):
                [json.loads(line) for line in data]
        assert ("usage" in text) is (fault != "missing-usage")
        assert provider.reading().answers[0].fault == fault

    long = " ".join(["word"] * 200)
    script = f"answers: [{{when: {{contains: hello}}, text: {long}, fault: {fault}}}]"
    with_client(simulate, use, script=script)


def test_tokens_are_counted_as_they_are_billed_and_cost_nothing(simulate: Any) -> None:
    async def use(client: Any, provider: Any) -> None:
        asked = {key: value for key, value in body().items() if key != "max_tokens"}
        counted = await client.messages.count_tokens(**asked)
        assert provider.reading().answers == ()
        message = await client.messages.create(**body())
        assert counted.input_tokens == message.usage.input_tokens

    with_sdk(simulate, use)


def test_models_are_listed_and_looked_up(simulate: Any) -> None:
    async def use(client: Any, _: Any) -> None:
        names = [model.id async for model in client.models.list()]
        assert "claude-haiku-5-5" in names
        assert (await client.models.retrieve("claude-haiku-5-5")).id == "claude-haiku-5-5"
        with pytest.raises(anthropic.NotFoundError):
            await client.models.retrieve("claude-nothing")

    with_sdk(simulate, use)


WRONG = [
    (b"{", "not valid JSON"),
    (b"\xff\xfe", "not valid JSON"),
    (b"[]", "not a JSON object"),
    (b'{"model": "\\ud800"}', "not valid JSON"),
    (b'{"a":' * 100_000, "not valid JSON"),
    (body(model=None), "model: Field required"),
    (body(model=3), "model: Input"),
    (body(max_tokens=None), "max_tokens: Field required"),
    (body(max_tokens=0), "max_tokens: must be"),
    (body(max_tokens=True), "max_tokens: Input"),
    (body(messages=[]), "messages: at least one"),
    (body(messages="hello"), "messages: Input"),
    (body(messages=["hello"]), "messages.0: Input"),
    (body(messages=[{"role": "owl", "content": "x"}]), "messages.0.role"),
    (body(messages=[{"role": "user"}]), "messages.0.content"),
    (said([1]), "content.0.type"),
    (said([{"type": "text"}]), "content.0.text"),
    (said([{"type": "tool_result", "content": [2]}]), "content.0.content.0.type"),
    (body(system=3), "system: Input"),
    (body(tools=[{}]), "tools: every tool"),
    (body(tools={"a": 1}), "tools: Input"),
    (body(tool_choice={"type": "x"}), "tool_choice.type"),
    (body(tool_choice={"type": "tool", "name": "x"}), "not found"),
]


def test_a_wrong_request_is_refused_in_the_shape_of_the_api(simulate: Any) -> None:
    async def use(client: Any, provider: Any) -> None:
        for sent, says in WRONG:
            raw = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
            answer = await client.post("/v1/messages", content=raw)
            error = answer.json()
            assert (answer.status_code, error["type"]) == (400, "error"), says
            assert error["error"]["type"] == "invalid_request_error"
            assert says in error["error"]["message"]
            assert error["request_id"] == answer.headers["request-id"]
        assert provider.reading().answers == ()

    with_client(simulate, use)


def test_no_answer_is_a_400_with_the_words_that_help(simulate: Any) -> None:
    async def use(client: Any, _: Any) -> None:
        answer = await client.post("/v1/messages", json=said("unheard of"))
        assert answer.status_code == 400
        assert answer.json()["error"] == {"type": "invalid_request_error", "message": NO_ANSWER}

    with_client(simulate, use)


def test_other_paths_and_methods_are_refused_in_the_shape_of_the_api(simulate: Any) -> None:
    async def use(client: Any, _: Any) -> None:
        assert (await client.head("/")).status_code == 200
        missing = await client.get("/v2/nothing")
        assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found_error")
        wrong = await client.get("/v1/messages")
        assert (wrong.status_code, wrong.json()["type"]) == (405, "error")

    with_client(simulate, use)


def test_the_meter_can_be_read_over_http(simulate: Any) -> None:
    async def use(client: Any, _: Any) -> None:
        await client.post("/v1/messages", json=body(), headers={"X-Helios-Project": "pay"})
        meter = (await client.get("/_meter")).json()
        assert meter["simulated"] is True
        assert meter["answers"] == 1
        assert meter["requests"][0]["labels"] == {"project": "pay"}
        sums = (await client.get("/_meter?sums")).json()
        assert sums == {key: value for key, value in meter.items() if key != "requests"}
        assert meter["models"]["claude-haiku-5-5"]["output_tokens"] > 0

    with_client(simulate, use)


def test_content_blocks_and_tool_results_are_what_the_user_said(simulate: Any) -> None:
    async def use(client: Any, _: Any) -> None:
        result = {"type": "tool_result", "tool_use_id": "t", "content": "Say hello"}
        image = {"type": "image", "source": {"type": "base64", "data": "AAAA"}}
        asked = said([{"type": "text", "text": "Look"}, result, image])
        # What the system prompt says does not count.
        asked["system"] = [{"type": "text", "text": "인사"}]
        answer = await client.post("/v1/messages", json=asked)
        assert answer.json()["content"][0]["text"] == "[simulated] Good morning to you."

    with_client(simulate, use)


def test_closing_does_not_wait_for_a_client_that_has_stopped_reading(simulate: Any) -> None:
    async def scenario() -> None:
        text = "word " * 2_000_000
        async with simulate(f"answers: [{{when: {{contains: hello}}, text: {text!r}}}]") as sim:
            host, port = sim.base_url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port), limit=1)
            asked = json.dumps(body(max_tokens=10**9)).encode()
            head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {len(asked)}"
            writer.write(head.encode() + b"\r\n\r\n" + asked)
            assert await reader.read(1)
            await asyncio.wait_for(sim.close(), 2)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    asyncio.run(scenario())


def logger_states() -> list[tuple[Any, ...]]:
    loggers = [logging.getLogger(n) for n in ("uvicorn", "uvicorn.error", "uvicorn.access")]
    return [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_the_process_keeps_its_signal_handlers_and_its_logs(
    simulate: Any, ask: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    loggers = logger_states()

    async def scenario() -> None:
        during = {number: signal.getsignal(number) for number in signals}
        script = "answers: [{when: {contains: hello}, text: hi, fault: [cut]}]"
        async with simulate(script) as provider:
            with pytest.raises(ConnectionLost):
                await provider.call(ask())
            await provider.call(ask())
            assert {number: signal.getsignal(number) for number in signals} == during

    asyncio.run(scenario())
    assert {number: signal.getsignal(number) for number in signals} == signals
    assert logger_states() == loggers
    assert warnings_in(caplog) == []
    assert capfd.readouterr() == ("", "")


def test_closing_does_not_wait_for_requests_under_way(
    simulate: Any, ask: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with simulate("answers: [{when: {contains: hello}, fault: slow, text: hi}]") as sim:
            url = sim.base_url
            _, half_a_request = await asyncio.open_connection("127.0.0.1", int(url[-5:].strip(":")))
            half_a_request.write(
                b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{"
            )
            client = httpx2.AsyncClient(base_url=url, trust_env=False)
            call = asyncio.create_task(client.post("/v1/messages", json=body()))
            await asyncio.sleep(0.3)
            began = asyncio.get_running_loop().time()
            await sim.close()
            assert asyncio.get_running_loop().time() - began < 1
            with pytest.raises(httpx2.TransportError):
                await call
            await client.aclose()
            half_a_request.close()
            assert sim.reading().answers == ()
            late = AnthropicProvider("k", url, simulated=True)
            with pytest.raises(ConnectionLost) as caught:
                await late.call(ask())
            assert caught.value.billed == "no"
            await late.close()

    asyncio.run(scenario())
    assert warnings_in(caplog) == []
