"""Chat Completions as the simulator speaks it: what is read is what its meter billed."""

import asyncio
from typing import Any

import pytest

from helios.domain.budget.estimate import input_bound
from helios.errors import ConnectionLost, ModelError, ModelTimeout, Overloaded, RateLimited
from helios.ports.models import ModelRequest, Tool
from helios.providers.pydantic_models import PydanticProvider, open_openai
from helios.providers.simulator import Fault, FaultPlan

pytestmark = pytest.mark.slow

MODEL = "gpt-5-mini"


def opened(simulator: Any) -> PydanticProvider:
    return open_openai("sk-test", f"{simulator.base_url}/openai/v1")


def test_answers_and_usage_are_the_meters(simulate: Any, ask: Any, patch_tool: Tool) -> None:
    async def scenario() -> None:
        async with simulate() as simulator:
            provider = opened(simulator)
            asked: list[ModelRequest] = [
                ask("인사해 줘", model=MODEL),
                ask("Task: fix-gcd", "earlier", model=MODEL, tool=patch_tool),
                ask("hello", model=MODEL, max_tokens=1),
            ]
            replies = [await provider.call(request) for request in asked]
            await provider.close()
            answers = simulator.reading().answers
        assert replies[0].text.endswith("안녕하세요, 반갑습니다.")
        assert replies[1].tool_input is not None
        assert replies[1].tool_input["summary"] == "나머지가 0이 될 때까지 나눈다"
        stops = [reply.stop_reason for reply in replies]
        assert stops == ["end_turn", "tool_use", "max_tokens"]
        assert all(reply.simulated for reply in replies)
        assert [reply.usage for reply in replies] == [answer.usage for answer in answers]
        for request, reply in zip(asked, replies, strict=True):
            assert reply.usage.prompt_tokens <= input_bound(request.text_bytes)
            assert reply.usage.output_tokens <= request.max_tokens

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fault", "error", "billed"),
    [
        (Fault.RATE_LIMITED, RateLimited, "no"),
        (Fault.OVERLOADED, Overloaded, "no"),
        (Fault.SERVER_ERROR, Overloaded, "unknown"),
        (Fault.CUT, ConnectionLost, "unknown"),
        (Fault.STALL, ModelTimeout, "unknown"),
        (Fault.MALFORMED, ModelError, "unknown"),
        (Fault.MISSING_USAGE, ModelError, "unknown"),
    ],
)
def test_every_fault_says_what_is_certain(
    simulate: Any, ask: Any, fault: Fault, error: type[ModelError], billed: str
) -> None:
    async def scenario() -> None:
        async with simulate(faults=FaultPlan({fault: 1.0})) as simulator:
            provider = opened(simulator)
            with pytest.raises(error) as caught:
                await provider.call(ask("hello", model=MODEL, timeout_s=1.5))
            await provider.close()
            assert caught.value.billed == billed
            assert billed == "unknown" or simulator.reading().answers == ()

    asyncio.run(scenario())


def test_fifty_at_once_are_billed_once_each(simulate: Any, ask: Any) -> None:
    async def scenario() -> None:
        async with simulate() as simulator:
            provider = opened(simulator)
            request = ask("hello", model=MODEL, timeout_s=60.0)
            replies = await asyncio.gather(*(provider.call(request) for _ in range(50)))
            await provider.close()
            assert len(replies) == len(simulator.reading().answers) == 50

    asyncio.run(scenario())
