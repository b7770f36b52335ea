"""The simulator's own limits: refused when full, told in the headers that Helios reads."""

import asyncio
from typing import Any

import httpx2
import pytest

from helios.domain.usage import Usage
from helios.errors import UsageError
from helios.providers.signals.headers import parse_headers
from helios.providers.simulator.windows import Limits, read_limit
from helios.testing.clock import MovableClock

NOW = 1_800_000_000.0


def signals(limits: Limits, now: float = NOW, who: str = "a") -> dict[str, Any]:
    headers = {key.decode(): value.decode() for key, value in limits.headers(who, now)}
    parsed = parse_headers(headers, now)
    assert parsed.ignored == 0
    return {signal.window: signal for signal in parsed.signals}


def limited(*texts: str, **options: Any) -> Limits:
    return Limits([read_limit(text) for text in texts], **options)


def test_a_window_takes_so_many_and_opens_again_after_its_length() -> None:
    limits = limited("five_hour=3messages")
    assert [limits.admit("a", "m", NOW + n) is None for n in range(4)] == [True] * 3 + [False]
    refusal = limits.admit("a", "m", NOW + 17_999.5)
    assert refusal is not None
    assert (refusal.status, refusal.kind) == (429, "rate_limit_error")
    assert refusal.headers["retry-after"] == "1"
    assert limits.admit("b", "m", NOW) is None, "each organisation has its own"
    assert limits.admit("a", "m", NOW + 18_000) is None


def test_what_is_refused_counts_nowhere() -> None:
    limits = limited("five_hour=9messages", "seven_day=1messages")
    for _ in range(5):
        limits.admit("a", "m", NOW)
    assert signals(limits)["five_hour"].used == pytest.approx(0.11)


def test_subscriptions_are_told_shares_and_times() -> None:
    limits = limited("five_hour=10messages", "seven_day_opus=1000tokens")
    for _ in range(8):
        limits.admit("a", "claude-opus-5-5", NOW)
    limits.spend("a", "claude-opus-5-5", Usage(300, 50), NOW)
    limits.spend("a", "claude-sonnet-5-5", Usage(999, 999), NOW)
    told = signals(limits)
    assert set(told) == {"five_hour", "seven_day_opus"}
    five = told["five_hour"]
    assert (five.used, five.resets_at, five.status) == (0.8, NOW + 18_000, "allowed_warning")
    assert told["seven_day_opus"].used == 0.35
    headers = dict(limits.headers("a", NOW))
    assert headers[b"anthropic-ratelimit-unified-representative-claim"] == b"five_hour"
    assert headers[b"anthropic-ratelimit-unified-overage-status"] == b"rejected"


def test_a_models_own_window_refuses_that_model_only() -> None:
    limits = limited("seven_day_opus=1messages")
    assert limits.admit("a", "claude-opus-5-5", NOW) is None
    assert limits.admit("a", "claude-opus-5-5", NOW) is not None
    assert limits.admit("a", "claude-sonnet-5-5", NOW) is None


def test_keys_are_told_counts_and_cache_reads_are_no_input() -> None:
    limits = limited("requests=4", "input-tokens=1000", "output_tokens=100")
    assert limits.admit("a", "m", NOW) is None
    limits.spend("a", "m", Usage(400, 25, 100, 10_000), NOW)
    told = signals(limits)
    assert {key: signal.used for key, signal in told.items()} == {
        "requests": 0.25,
        "input_tokens": 0.5,
        "output_tokens": 0.25,
    }
    assert told["requests"].resets_at == NOW + 60
    limits.spend("a", "m", Usage(0, 75), NOW)
    assert limits.admit("a", "m", NOW) is not None
    assert limits.admit("a", "m", NOW + 60) is None


def test_overage_is_served_and_said() -> None:
    limits = limited("five_hour=1messages", overage=True)
    assert [limits.admit("a", "m", NOW) for _ in range(3)] == [None] * 3
    assert signals(limits)["five_hour"].overage


def test_without_limits_keys_are_told_large_ones() -> None:
    assert set(signals(Limits())) == {"requests", "tokens", "input_tokens", "output_tokens"}
    assert Limits().admit("a", "m", NOW) is None


@pytest.mark.parametrize(
    "text", ["five_hour", "five_hour=0", "five_hour=many", "ten_hour=5", "requests=5/0", "=3", ""]
)
def test_a_window_that_is_not_understood_says_how_to_write_it(text: str) -> None:
    with pytest.raises(UsageError, match="--window") as caught:
        read_limit(text)
    assert "five_hour=900messages" in caught.value.next_step


@pytest.mark.slow
def test_a_window_that_closes_among_many_lets_in_exactly_as_many_as_it_holds(
    simulate: Any, ask: Any
) -> None:
    async def scenario() -> None:
        clock = MovableClock()
        limits = (read_limit("five_hour=7messages/30s"),)
        async with (
            simulate(limits=limits, on=clock) as provider,
            httpx2.AsyncClient(base_url=provider.base_url, trust_env=False) as client,
        ):
            asked = {
                "model": "claude-haiku-5-5",
                "max_tokens": 100,
                "messages": [{"role": "user", "content": "hello"}],
            }

            async def post() -> httpx2.Response:
                return await client.post(
                    "/v1/messages", json=asked, headers={"authorization": "Bearer 열쇠".encode()}
                )

            answers = await asyncio.gather(*(post() for _ in range(20)))
            refused = [answer for answer in answers if answer.status_code == 429]
            assert len(refused) == 13
            assert {answer.headers["retry-after"] for answer in refused} == {"30"}
            assert refused[0].json()["error"]["type"] == "rate_limit_error"
            assert len(provider.reading().answers) == 7
            clock.move(30)
            assert (await post()).status_code == 200

    asyncio.run(scenario())
