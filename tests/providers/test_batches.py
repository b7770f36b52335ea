"""Message batches, through the real SDK."""

import asyncio
from typing import Any

import anthropic
import httpx2
import pytest

from helios.testing.clock import MovableClock

pytestmark = pytest.mark.slow

HELLO = {
    "model": "claude-haiku-5-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hello"}],
}
UNHEARD = {**HELLO, "messages": [{"role": "user", "content": "unheard of"}]}


def requests(*params: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"custom_id": f"일-{n}", "params": each} for n, each in enumerate(params)]


def with_sdk(simulate: Any, use: Any, **options: Any) -> None:
    async def scenario() -> None:
        async with (
            simulate(**options) as provider,
            anthropic.AsyncAnthropic(
                api_key="k", base_url=provider.base_url, max_retries=0
            ) as client,
        ):
            await use(client.messages.batches, provider)

    asyncio.run(scenario())


async def ended(batches: Any, name: str) -> Any:
    for _ in range(200):
        batch = await batches.retrieve(name)
        if batch.processing_status == "ended":
            return batch
        await asyncio.sleep(0.01)
    raise AssertionError("never ended")


def test_a_batch_is_answered_and_billed_with_its_labels(simulate: Any) -> None:
    async def use(batches: Any, provider: Any) -> None:
        made = await batches.create(
            requests=requests(HELLO, UNHEARD, HELLO), extra_headers={"x-helios-project": "pay"}
        )
        batch = await ended(batches, made.id)
        assert (batch.request_counts.succeeded, batch.request_counts.errored) == (2, 1)
        results = {line.custom_id: line.result async for line in await batches.results(made.id)}
        assert list(results) == ["일-0", "일-1", "일-2"]
        message = results["일-0"].message
        assert message.content[0].text == "[simulated] Good morning to you."
        assert "no recorded answer" in results["일-1"].error.error.message
        billed = provider.reading().answers
        assert [answer.labels for answer in billed] == [
            {"project": "pay", "batch": made.id, "custom_id": f"일-{n}"} for n in (0, 2)
        ]
        assert billed[0].usage.output_tokens == message.usage.output_tokens
        listed = await batches.list(limit=1)
        assert [each.id for each in listed.data] == [made.id]
        assert (await batches.delete(made.id)).id == made.id
        with pytest.raises(anthropic.NotFoundError):
            await batches.retrieve(made.id)

    with_sdk(simulate, use)


def test_a_batch_takes_its_time_and_can_be_cancelled_before(simulate: Any) -> None:
    clock = MovableClock()

    async def use(batches: Any, provider: Any) -> None:
        made = await batches.create(requests=requests(HELLO))
        assert made.processing_status == "in_progress"
        assert made.request_counts.processing == 1
        for refused in (batches.results, batches.delete):
            with pytest.raises((anthropic.BadRequestError, anthropic.AnthropicError)):
                await refused(made.id)
        assert (await batches.cancel(made.id)).processing_status == "canceling"
        clock.move(10)
        batch = await ended(batches, made.id)
        assert batch.request_counts.canceled == 1
        assert provider.reading().answers == ()

    with_sdk(simulate, use, time_scale=1.0, on=clock)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "requests: Field required"),
        ({"requests": []}, "from 1 to"),
        ({"requests": [3]}, "requests.0.custom_id"),
        ({"requests": [{"custom_id": "a"}]}, "requests.0.params"),
        ({"requests": [{"custom_id": "a", "params": HELLO}] * 2}, "once"),
    ],
)
def test_a_wrong_batch_is_refused(simulate: Any, body: dict[str, Any], says: str) -> None:
    async def scenario() -> None:
        async with (
            simulate() as provider,
            httpx2.AsyncClient(base_url=provider.base_url, trust_env=False) as client,
        ):
            answer = await client.post("/v1/messages/batches", json=body)
            assert answer.status_code == 400
            assert says in answer.json()["error"]["message"]
            missing = await client.get("/v1/messages/batches/none")
            assert missing.json()["error"]["type"] == "not_found_error"
            odd = await client.post("/v1/messages/batches/none/tickle")
            assert odd.status_code == 404

    asyncio.run(scenario())


def test_closing_does_not_wait_for_a_batch(simulate: Any) -> None:
    async def use(batches: Any, provider: Any) -> None:
        await batches.create(requests=requests(HELLO))
        await asyncio.wait_for(provider.close(), 2)
        assert provider.reading().answers == ()

    with_sdk(simulate, use, time_scale=100.0)
