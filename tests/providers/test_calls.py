"""Calls that succeed: the real SDK against the real server."""

import asyncio
import time
from typing import Any
from unicodedata import normalize

import anthropic
import pytest

from helios.domain.budget.estimate import input_bound
from helios.errors import RequestRefused
from helios.ports.models import ModelReply, Tool
from helios.providers.anthropic_api import AnthropicProvider
from helios.providers.model_facts import accepts_forced_tool
from helios.providers.simulator import start_simulator
from helios.testing.clock import MovableClock

pytestmark = pytest.mark.slow


def test_a_text_answer_says_that_it_is_simulated(simulate: Any, ask: Any) -> None:
    async def scenario() -> None:
        async with simulate() as provider:
            reply = await provider.call(ask("hello"))
        assert reply.text == "[simulated] Good morning to you."
        assert reply.simulated
        assert reply.model == "claude-haiku-5-5"
        assert reply.stop_reason == "end_turn"
        assert reply.tool_input is None
        assert reply.usage.input_tokens > 0
        assert reply.usage.output_tokens > 0
        assert (reply.usage.cache_read_tokens, reply.usage.cache_write_tokens) == (0, 0)

    asyncio.run(scenario())


def test_korean_goes_through_in_both_directions(simulate: Any, ask: Any) -> None:
    async def scenario() -> None:
        async with simulate() as provider:
            for form in ("NFC", "NFD"):
                reply = await provider.call(ask(normalize(form, "인사를 해 주세요")))
                assert reply.text == "[simulated] 안녕하세요, 반갑습니다."

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "model", ["claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5", "claude-fable-5-2"]
)
def test_a_tool_is_answered_by_models_that_take_force_and_by_those_that_refuse_it(
    simulate: Any, ask: Any, patch_tool: Tool, model: str
) -> None:
    async def scenario() -> None:
        async with simulate() as provider:
            request = ask("Task: fix-gcd", "earlier", model=model, tool=patch_tool)
            reply = await provider.call(request)
        assert reply.tool_input == {
            "summary": "나머지가 0이 될 때까지 나눈다",
            "lines": [1, 2.5, None],
        }
        assert reply.stop_reason == "tool_use"
        assert reply.usage.input_tokens <= input_bound(request.text_bytes)

    asyncio.run(scenario())


def test_the_simulator_refuses_a_forced_tool_where_the_api_does(simulate: Any) -> None:
    async def scenario() -> None:
        async with (
            simulate() as provider,
            anthropic.AsyncAnthropic(api_key="k", base_url=provider.base_url) as client,
        ):
            tool = {"name": "submit_patch", "description": "", "input_schema": {"type": "object"}}
            with pytest.raises(anthropic.BadRequestError, match="not supported for this model"):
                await client.messages.create(
                    model="claude-sonnet-5-5",
                    max_tokens=10,
                    messages=[{"role": "user", "content": "Task: fix-gcd"}],
                    tools=[tool],
                    tool_choice={"type": "tool", "name": "submit_patch"},
                )

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("model", "forced"),
    [
        ("claude-haiku-5-5", True),
        ("claude-haiku-4-5-20251001", True),
        ("claude-opus-4-8", True),
        ("claude-opus-5", True),
        ("claude-opus-5-20260714", True),
        ("claude-fable-5", True),
        ("claude-sonnet-5", True),
        ("claude-sonnet-5-5", False),
        ("claude-opus-5-5", False),
        ("claude-opus-5.5", False),
        ("claude-fable-5-1", False),
        ("claude-fable-5-2", False),
        ("claude-opus-6", False),
        ("something-else", False),
    ],
)
def test_force_is_used_only_with_models_known_to_take_it(model: str, forced: bool) -> None:
    assert accepts_forced_tool(model) is forced


def test_turn_and_model_choose_between_answers(simulate: Any, ask: Any, patch_tool: Tool) -> None:
    async def scenario() -> None:
        async with simulate() as provider:
            first = await provider.call(ask("Task: fix-gcd", tool=patch_tool))
            second = await provider.call(ask("it failed", "Task: fix-gcd", tool=patch_tool))
            stronger = await provider.call(
                ask("Task: fix-gcd", model="claude-opus-5-5", tool=patch_tool)
            )
        assert first.tool_input == {"summary": "wrong at first"}
        assert second.tool_input["summary"].startswith("나머지")
        assert stronger.tool_input["summary"].startswith("나머지")

    asyncio.run(scenario())


def test_a_request_that_nothing_fits_is_refused_and_never_answered(simulate: Any, ask: Any) -> None:
    async def scenario() -> None:
        async with simulate() as provider:
            # The second one fits a recorded answer, but does not offer its tool.
            for request in (ask("unheard of"), ask("Task: fix-gcd")):
                with pytest.raises(RequestRefused, match="no recorded answer") as caught:
                    await provider.call(request)
                assert caught.value.billed == "no"
                assert "ANTHROPIC_API_KEY" in caught.value.message
                assert "script" in caught.value.next_step
            assert provider.reading().answers == ()

    asyncio.run(scenario())


def test_without_a_script_everything_is_refused(ask: Any, clock: Any) -> None:
    async def scenario() -> None:
        provider = await start_simulator(script=None, meter=None, clock=clock)
        with pytest.raises(RequestRefused, match="no recorded answer"):
            await provider.call(ask())
        await provider.close()
        await provider.close()

    asyncio.run(scenario())


def test_output_never_exceeds_max_tokens(simulate: Any, ask: Any, patch_tool: Tool) -> None:
    async def scenario() -> None:
        async with simulate() as provider:
            text = await provider.call(ask("hello", max_tokens=1))
            tool = await provider.call(ask("Task: fix-gcd", tool=patch_tool, max_tokens=5))
        assert (text.text, text.stop_reason) == ("[", "max_tokens")
        assert text.usage.output_tokens == 1
        assert (tool.tool_input, tool.stop_reason) == ({}, "max_tokens")

    asyncio.run(scenario())


def test_the_same_request_gets_the_same_answer_from_any_simulator(
    simulate: Any, ask: Any, patch_tool: Tool
) -> None:
    async def once() -> ModelReply:
        async with simulate() as provider:
            return await provider.call(ask("Task: fix-gcd", tool=patch_tool))

    async def scenario() -> None:
        assert await once() == await once()

    asyncio.run(scenario())


def test_fifty_at_once_are_answered_and_billed_once_each(simulate: Any, ask: Any) -> None:
    async def scenario() -> None:
        async with simulate(time_scale=1.0) as provider:
            began = time.perf_counter()
            calls = (provider.call(ask("hello", labels={"task": f"t{n}"})) for n in range(50))
            replies = await asyncio.gather(*calls)
            seconds = time.perf_counter() - began
            reading = provider.reading()
        assert len(replies) == 50
        assert {answer.labels["task"] for answer in reading.answers} == {f"t{n}" for n in range(50)}
        assert len({answer.request for answer in reading.answers}) == len(reading.answers) == 50
        assert seconds < 5, "answers wait for one another"

    asyncio.run(scenario())


def test_a_typical_answer_takes_about_half_a_second(simulate: Any, ask: Any) -> None:
    script = f"answers: [{{when: {{contains: long}}, text: {'word ' * 300!r}}}]"

    async def timed(time_scale: float) -> float:
        async with simulate(script, time_scale=time_scale) as provider:
            await provider.call(ask("long"))
            began = time.perf_counter()
            await provider.call(ask("long"))
            return time.perf_counter() - began

    async def scenario() -> None:
        assert await timed(0.0) < 0.25
        assert 0.3 < await timed(1.0) < 1.3

    asyncio.run(scenario())


def test_delays_are_waited_by_the_clock_that_is_given(script_file: Any, ask: Any) -> None:
    async def scenario() -> None:
        clock = MovableClock()
        provider = await start_simulator(script=script_file(), meter=None, clock=clock)
        call = asyncio.create_task(provider.call(ask("hello")))
        await asyncio.sleep(0.3)
        assert not call.done()
        clock.move(2.0)
        assert (await call).simulated
        await provider.close()

    asyncio.run(scenario())


def test_megabytes_are_taken_and_more_than_a_window_is_refused(simulate: Any, ask: Any) -> None:
    async def scenario() -> None:
        async with simulate() as provider:
            line = "hello 안녕 0123456789\n"
            request = ask(line * (2_500_000 // len(line.encode())), timeout_s=60)
            reply = await provider.call(request)
            assert 500_000 < reply.usage.input_tokens <= input_bound(request.text_bytes)
            with pytest.raises(RequestRefused, match="prompt is too long"):
                await provider.call(ask(line * (20_000_000 // len(line.encode())), timeout_s=60))
            with pytest.raises(RequestRefused, match="413") as caught:
                await provider.call(ask("a" * 33 * 1024 * 1024, timeout_s=60))
            assert caught.value.billed == "no"
            assert len(provider.reading().answers) == 1

    asyncio.run(scenario())


def test_a_provider_that_thinks_it_is_real_still_says_what_was_simulated(
    simulate: Any, ask: Any
) -> None:
    async def scenario() -> None:
        async with simulate() as simulator:
            provider = AnthropicProvider("sk-test", simulator.base_url)
            assert not provider.simulated
            reply = await provider.call(ask("hello", labels={"task": "t1"}))
            assert reply.simulated
            assert simulator.reading().answers[0].labels == {}, "labels are for the simulator"
            await provider.close()

    asyncio.run(scenario())


def test_labels_reach_the_meter_in_any_language(simulate: Any, ask: Any) -> None:
    async def scenario() -> None:
        labels = {"project": "결제 서비스", "task": "fix-a/b %"}
        async with simulate() as provider:
            await provider.call(ask("hello", labels=labels))
            assert provider.reading().answers[0].labels == labels

    asyncio.run(scenario())
