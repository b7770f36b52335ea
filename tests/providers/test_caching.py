"""The prompt cache: what was sent before is read, by real prefixes, as long as it lives."""

import asyncio
import copy
from typing import Any

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.usage import Usage
from helios.providers.simulator.caching import PromptCache, prompt_of
from helios.providers.simulator.tokens import count_request
from helios.testing.clock import MovableClock

NOW = 1_800_000_000.0
LONG = "The same long prompt. 같은 긴 글. " * 150
MARK = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def text(words: str, **mark: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **mark}


def body(*turns: Any, system: Any = (), tools: Any = ()) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": turn} for n, turn in enumerate(turns)]
    return {"system": list(system), "tools": list(tools), "messages": messages}


class Cached:
    """One organisation's calls, one after the other."""

    def __init__(self) -> None:
        self.cache = PromptCache()

    def call(
        self, asked: dict[str, Any], at: float = NOW, who: str = "a", model: str = "claude-opus-5-5"
    ) -> Usage:
        prompt = prompt_of(asked)
        assert prompt is not None
        assert prompt.tokens == count_request(asked)
        plan = self.cache.look(who, model, prompt, at)
        self.cache.keep(plan, at)
        assert plan.usage.prompt_tokens == prompt.tokens
        return plan.usage


def test_a_prefix_is_written_once_and_then_read() -> None:
    calls = Cached()
    first = calls.call(body("hello", system=[text(LONG, **MARK)]))
    assert first.cache_write_tokens > 1024
    assert (first.cache_read_tokens, first.input_tokens) == (0, 9)
    second = calls.call(body("another question", system=[text(LONG, **MARK)]))
    assert second.cache_read_tokens == first.cache_write_tokens
    assert second.cache_write_tokens == 0


def test_the_mark_may_move_on_as_a_conversation_grows() -> None:
    calls = Cached()
    calls.call(body([text(LONG, **MARK)]))
    grown = calls.call(body([text(LONG)], [text("answer")], [text("next" * 400, **MARK)]))
    assert grown.cache_read_tokens > 1024
    assert grown.cache_write_tokens > 200
    again = calls.call(body(LONG, "answer", "next" * 400, "a", [text("more", **MARK)]))
    assert again.cache_read_tokens == grown.cache_read_tokens + grown.cache_write_tokens


@pytest.mark.parametrize(
    "change",
    [
        {"who": "b"},
        {"model": "claude-sonnet-5-5"},
        {"at": NOW + 301},
        {"asked": body("hello", system=[text(LONG + "x", **MARK)])},
        {"asked": body("hello", system=[text(LONG, **MARK)], tools=[{"name": "t"}])},
    ],
)
def test_another_prefix_organisation_model_or_time_is_written_anew(change: dict[str, Any]) -> None:
    calls = Cached()
    usual = {"asked": body("hello", system=[text(LONG, **MARK)])}
    calls.call(**usual)
    usage = calls.call(**{**usual, **change})
    assert usage.cache_read_tokens == 0
    assert usage.cache_write_tokens > 1024


def test_reading_keeps_a_prefix_alive_and_an_hour_is_an_hour() -> None:
    calls = Cached()
    asked = body("hello", system=[text(LONG, **MARK)])
    calls.call(asked)
    for minutes in (4, 8, 12):
        assert calls.call(asked, NOW + 60 * minutes).cache_read_tokens > 0
    assert calls.call(asked, NOW + 60 * 18).cache_read_tokens == 0
    hour = body("hello", system=[text(LONG * 2, **HOUR)])
    written = calls.call(hour)
    assert written.cache_write_1h_tokens == written.cache_write_tokens > 0
    assert calls.call(hour, NOW + 3_500).cache_read_tokens == written.cache_write_tokens


def test_an_hour_and_five_minutes_in_one_request_are_told_apart() -> None:
    calls = Cached()
    asked = body([text(LONG, **MARK)], system=[text(LONG, **HOUR)])
    usage = calls.call(asked)
    assert 0 < usage.cache_write_1h_tokens < usage.cache_write_tokens
    late = calls.call(asked, NOW + 600)
    assert late.cache_read_tokens == usage.cache_write_1h_tokens
    assert late.cache_write_tokens == usage.cache_write_tokens - usage.cache_write_1h_tokens
    assert late.cache_write_1h_tokens == 0


def test_what_is_too_short_or_too_far_back_is_not_cached() -> None:
    calls = Cached()
    short = calls.call(body([text("short", **MARK)]))
    assert short.prompt_tokens == short.input_tokens
    economy = calls.call(body("hi", system=[text(LONG, **MARK)]), model="claude-haiku-5-5")
    assert economy.cache_write_tokens == 0
    calls.call(body([text(LONG, **MARK)]))
    far = [text("x") for _ in range(25)]
    assert calls.call(body([text(LONG), *far, text("y", **MARK)])).cache_read_tokens == 0


def test_a_mark_for_the_whole_request_is_one_on_its_last_block() -> None:
    calls = Cached()
    first = calls.call({**body(LONG), **MARK})
    assert first.input_tokens == 8
    assert calls.call({**body(LONG), **MARK}).cache_read_tokens == first.cache_write_tokens


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.data())
def test_whatever_is_marked_the_kinds_add_up(parts: list[int], data: st.DataObject) -> None:
    """No call is billed more or less than its prompt, and nothing is read that was not written."""
    calls = Cached()
    written = 0
    for step in range(4):
        blocks = [text(LONG[: 900 * (part + 1)]) for part in parts]
        for index in data.draw(st.sets(st.integers(0, len(parts) - 1), min_size=1, max_size=4)):
            blocks[index].update(data.draw(st.sampled_from([MARK, HOUR])))
        usage = calls.call(body(copy.deepcopy(blocks)), NOW + data.draw(st.integers(0, 4000)))
        assert min(usage.input_tokens, usage.cache_write_tokens - usage.cache_write_1h_tokens) >= 0
        assert usage.cache_read_tokens <= (written if step else 0)
        written = max(written, usage.cache_read_tokens + usage.cache_write_tokens)


@pytest.mark.slow
def test_the_sdk_sees_what_the_meter_bills(simulate: Any) -> None:
    async def scenario() -> None:
        clock = MovableClock()
        async with (
            simulate(on=clock) as provider,
            anthropic.AsyncAnthropic(api_key="k", base_url=provider.base_url) as client,
        ):
            asked: dict[str, Any] = {
                "model": "claude-sonnet-5-5",
                "max_tokens": 100,
                "system": [text(LONG, **HOUR)],
                "messages": [{"role": "user", "content": "hello"}],
            }
            told = []
            for stream in (False, True):
                if stream:
                    async with client.messages.stream(**asked) as events:
                        message = await events.get_final_message()
                else:
                    message = await client.messages.create(**asked)
                told.append(message.usage)
            billed = [answer.usage for answer in provider.reading().answers]
            assert (
                told[0].cache_creation.ephemeral_1h_input_tokens == billed[0].cache_write_1h_tokens
            )
            assert told[1].cache_read_input_tokens == billed[1].cache_read_tokens > 1024
            assert told[1].cache_creation_input_tokens == 0
            counted = await client.messages.count_tokens(
                **{key: value for key, value in asked.items() if key != "max_tokens"}
            )
            assert counted.input_tokens == billed[1].prompt_tokens
            five = {**asked, "system": [text(LONG, **MARK)] * 5}
            with pytest.raises(anthropic.BadRequestError, match="maximum of 4"):
                await client.messages.create(**five)

    asyncio.run(scenario())
