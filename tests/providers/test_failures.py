"""Calls that fail: the right error, and what is certain about the charge."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any

import pytest

from helios.errors import (
    BadOutput,
    ConnectionLost,
    ModelTimeout,
    Overloaded,
    RateLimited,
    RequestRefused,
    UsageError,
)
from helios.providers.anthropic_api import AnthropicProvider
from helios.providers.simulator import Fault, FaultPlan
from helios.providers.statuses import retry_after_s


def faulty(fault: str) -> str:
    return f"answers: [{{when: {{contains: hello}}, text: hi, fault: {fault}}}]"


@asynccontextmanager
async def endpoint(
    answer: bytes | None, *, simulated: bool = True
) -> AsyncIterator[AnthropicProvider]:
    """A server that reads a request and says this, or only keeps silent."""

    handlers: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        await reader.readexactly(length)
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    provider = AnthropicProvider("k", url, simulated=simulated)
    try:
        yield provider
    finally:
        await provider.close()
        server.close()
        await server.wait_closed()
        await asyncio.gather(*handlers)


def http(status: str, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body.encode())}", *headers, "", body]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    ("fault", "error", "billed"),
    [
        ("429", RateLimited, "no"),
        ("529", Overloaded, "no"),
        ("500", Overloaded, "no"),
        ("cut", ConnectionLost, "unknown"),
        ("malformed", ConnectionLost, "unknown"),
        ("missing-usage", BadOutput, "unknown"),
        ("slow", ModelTimeout, "unknown"),
    ],
)
def test_every_fault_is_the_right_error(
    simulate: Any, ask: Any, fault: str, error: type[Exception], billed: str
) -> None:
    async def scenario() -> None:
        async with simulate(faulty(fault)) as provider:
            with pytest.raises(error) as caught:
                await provider.call(ask(timeout_s=0.5 if fault == "slow" else 10))
            assert type(caught.value) is error
            assert caught.value.billed == billed
            if fault == "slow":
                await asyncio.sleep(0.1)
            answered = [answer.fault for answer in provider.reading().answers]
        refused = fault in {"429", "529", "500"}
        assert answered == ([] if refused else [fault]), "the meter knows what was charged"
        if fault == "429":
            assert caught.value.retry_after_s == 2.0

    asyncio.run(scenario())


def test_usage_above_the_estimate_is_reported_as_it_is(simulate: Any, ask: Any) -> None:
    async def scenario() -> None:
        async with simulate(faulty("usage-above-estimate")) as provider:
            request = ask(max_tokens=50)
            reply = await provider.call(request)
            assert reply.usage.output_tokens > request.max_tokens
            assert reply.usage.input_tokens > request.text_bytes + 600
            assert provider.reading().by_model == {"claude-haiku-5-5": reply.usage}

    asyncio.run(scenario())


def test_a_list_of_faults_happens_once_each_and_then_the_answer_comes(
    simulate: Any, ask: Any
) -> None:
    async def scenario() -> None:
        async with simulate(faulty("[429, cut]")) as provider:
            with pytest.raises(RateLimited):
                await provider.call(ask())
            with pytest.raises(ConnectionLost):
                await provider.call(ask())
            assert (await provider.call(ask())).text == "[simulated] hi"

    asyncio.run(scenario())


def test_seeded_faults_are_the_same_every_time_and_near_their_rate(simulate: Any, ask: Any) -> None:
    plan = FaultPlan({Fault.RATE_LIMITED: 0.2, Fault.OVERLOADED: 0.2}, seed=7)

    async def run() -> list[str]:
        outcomes = []
        async with simulate(faulty("[]"), faults=plan) as provider:
            for number in range(40):
                try:
                    await provider.call(ask(f"hello {number}"))
                    outcomes.append("ok")
                except (RateLimited, Overloaded) as error:
                    outcomes.append(error.code)
        return outcomes

    async def scenario() -> None:
        first = await run()
        assert first == await run()
        assert 12 < first.count("ok") < 36
        assert set(first) == {"ok", "rate-limited", "overloaded"}

    asyncio.run(scenario())


def test_a_second_try_of_the_same_request_meets_its_own_draw() -> None:
    plan = FaultPlan({Fault.CUT: 0.5}, seed=1)
    draws = [plan.draw("digest", sighting) for sighting in range(64)]
    assert {Fault.CUT, None} == set(draws)
    assert draws == [plan.draw("digest", sighting) for sighting in range(64)]


def test_a_refused_connection_cost_nothing(ask: Any) -> None:
    async def scenario() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        provider = AnthropicProvider("k", f"http://127.0.0.1:{port}", simulated=True)
        with pytest.raises(ConnectionLost) as caught:
            await provider.call(ask())
        assert caught.value.billed == "no"
        assert "127.0.0.1" in caught.value.message
        await provider.close()

    asyncio.run(scenario())


def test_a_connection_that_nobody_accepts_cost_nothing(ask: Any) -> None:
    async def scenario() -> None:
        with socket.socket() as deaf, ExitStack() as waiting:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            for _ in range(4):
                client = waiting.enter_context(socket.socket())
                client.settimeout(0)
                client.connect_ex(deaf.getsockname())
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            provider = AnthropicProvider("k", url, simulated=True)
            with pytest.raises(ConnectionLost) as caught:
                await provider.call(ask(timeout_s=0.6))
            assert caught.value.billed == "no"
            await provider.close()

    asyncio.run(scenario())


def test_an_unknown_host_cost_nothing(ask: Any) -> None:
    async def scenario() -> None:
        provider = AnthropicProvider("k", "http://no-such-host.invalid", simulated=True)
        with pytest.raises(ConnectionLost) as caught:
            await provider.call(ask())
        assert caught.value.billed == "no"
        await provider.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "error", "billed", "step"),
    [
        ("400 Bad Request", RequestRefused, "no", "request"),
        ("401 Unauthorized", RequestRefused, "no", "key"),
        ("402 Payment Required", RequestRefused, "no", "credit"),
        ("403 Forbidden", RequestRefused, "no", "key"),
        ("404 Not Found", RequestRefused, "no", "model"),
        ("408 Request Timeout", ModelTimeout, "no", ""),
        ("422 Unprocessable", RequestRefused, "no", "request"),
        ("429 Too Many", RateLimited, "no", ""),
        ("500 Error", Overloaded, "no", ""),
        ("502 Bad Gateway", ConnectionLost, "unknown", ""),
        ("503 Unavailable", Overloaded, "no", ""),
        ("529 Overloaded", Overloaded, "no", ""),
    ],
)
def test_every_status_says_what_is_certain_and_what_helps(
    ask: Any, status: str, error: type[Exception], billed: str, step: str
) -> None:
    async def scenario() -> None:
        body = '{"type":"error","error":{"type":"x","message":"거절됨"}}'
        async with endpoint(http(status, body)) as provider:
            with pytest.raises(error) as caught:
                await provider.call(ask())
        assert type(caught.value) is error
        assert caught.value.billed == billed
        assert "거절됨" in caught.value.message
        assert step in caught.value.next_step

    asyncio.run(scenario())


@pytest.mark.parametrize("body", ["<html>500</html>", "", '{"error":{"type":"x"}}', "[]"])
def test_a_500_that_is_not_the_apis_own_proves_nothing(ask: Any, body: str) -> None:
    async def scenario() -> None:
        async with endpoint(http("500 Error", body)) as provider:
            with pytest.raises(Overloaded) as caught:
                await provider.call(ask())
        assert caught.value.billed == "unknown"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ConnectionLost),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{", ConnectionLost),
        (b"no HTTP at all\r\n\r\n", ConnectionLost),
        (http("200 OK", "<html>log in to the hotel</html>"), ConnectionLost),
        (http("200 OK", '{"type":"error"}'), BadOutput),
        (http("200 OK", "[1]"), BadOutput),
        (http("200 OK", '{"content":[],"usage":{"input_tokens":-1}}'), BadOutput),
        (http("200 OK", '{"content":[],"usage":{"input_tokens":1}}'), BadOutput),
    ],
)
def test_an_answer_that_cannot_be_read_may_have_been_charged(
    ask: Any, answer: bytes, error: type[Exception]
) -> None:
    async def scenario() -> None:
        async with endpoint(answer) as provider:
            with pytest.raises(error) as caught:
                await provider.call(ask())
        assert caught.value.billed == "unknown"

    asyncio.run(scenario())


def test_cached_tokens_are_read_and_thinking_is_no_text(ask: Any) -> None:
    body = (
        '{"model":"m","content":[{"type":"thinking","thinking":""},{"type":"text","text":"a"},'
        '{"type":"text","text":"b"}],"stop_reason":"end_turn","usage":{"input_tokens":1,'
        '"output_tokens":2,"cache_creation_input_tokens":3,"cache_read_input_tokens":4}}'
    )

    async def scenario() -> None:
        async with endpoint(http("200 OK", body, "content-type: application/json")) as provider:
            reply = await provider.call(ask())
        usage = reply.usage
        assert reply.text == "ab"
        assert (usage.input_tokens, usage.output_tokens) == (1, 2)
        assert (usage.cache_write_tokens, usage.cache_read_tokens) == (3, 4)

    asyncio.run(scenario())


def test_silence_ends_at_the_timeout_and_is_unknown(ask: Any) -> None:
    async def scenario() -> None:
        async with endpoint(None) as provider:
            began = time.perf_counter()
            with pytest.raises(ModelTimeout) as caught:
                await provider.call(ask(timeout_s=0.3))
            assert caught.value.billed == "unknown"
            assert time.perf_counter() - began < 2

    asyncio.run(scenario())


def test_cancelling_a_call_goes_through_and_the_provider_lives_on(simulate: Any, ask: Any) -> None:
    async def scenario() -> None:
        async with simulate(faulty("[slow]")) as provider:
            call = asyncio.create_task(provider.call(ask()))
            await asyncio.sleep(0.2)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await provider.call(ask())).simulated

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon", "date": "Sat, 21 Nov 2026 07:00:00 GMT"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 07:00:30 GMT"}, None),
        (
            {
                "retry-after": "Sat, 21 Nov 2026 07:00:30 GMT",
                "date": "Sat, 21 Nov 2026 07:00:00 GMT",
            },
            30.0,
        ),
    ],
)
def test_retry_after_is_read_in_either_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


@pytest.mark.parametrize("key", ["", "  ", "sk-ant\nx", "sk 1", "열쇠"])
def test_a_key_that_no_key_can_be_is_refused_at_once_and_not_shown(key: str) -> None:
    with pytest.raises(UsageError, match="API key") as caught:
        AnthropicProvider(key)
    assert "ANTHROPIC_API_KEY" in caught.value.next_step
    assert not key.strip() or key not in caught.value.message


def test_an_endpoint_without_a_scheme_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="HTTP address"):
        AnthropicProvider("k", "localhost:8000")


def test_text_that_is_not_unicode_is_refused_without_a_call(simulate: Any, ask: Any) -> None:
    async def scenario() -> None:
        async with simulate() as provider:
            with pytest.raises(RequestRefused, match="Unicode") as caught:
                await provider.call(ask("hello " + chr(0xD800)))
            assert caught.value.billed == "no"

    asyncio.run(scenario())
