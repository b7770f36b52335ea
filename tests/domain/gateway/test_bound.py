"""A request is never held at less than it can turn out to cost."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.budget.estimate import call_actual, call_bound
from helios.domain.budget.units import Unit
from helios.domain.gateway.bound import (
    CONTEXT_TOKENS,
    IMAGE_TOKENS,
    LONGEST_OUTPUT,
    asks_for_larger_window,
    first_reading,
    least_output,
    lowered_max_tokens,
    raw_bound,
    window_of,
)
from helios.domain.gateway.request import Asked, read_request
from helios.domain.pricing import Model, Price, Tier
from helios.domain.usage import Usage
from helios.errors import RequestRefused
from tests.domain.gateway.bodies import TEXTS, body
from tests.domain.prices import MODELS

MODEL = Model("m", Tier.STRONG, Price(4, 20, 5, 0.2, 8), max_output_tokens=32_000)
SMALL = replace(MODEL, context_tokens=200_000)
ASKED = Asked("m", 1000, stream=False)


@given(MODELS, TEXTS, st.integers(0, 100_000), st.booleans(), st.data())
def test_a_text_never_takes_more_than_its_bound(
    model: Model, text: str, longest: int, hour: bool, data: st.DataObject
) -> None:
    cache = {"cache_control": {"ttl": "1h" if hour else "5m"}}
    raw = body(max_tokens=longest, system=[{"type": "text", "text": text, **cache}])
    bound = raw_bound(read_request(raw), len(raw), model)
    written = data.draw(st.integers(0, len(raw)))
    kept = data.draw(st.integers(0, written)) if hour else 0
    used = Usage(len(raw) - written, data.draw(st.integers(0, longest)), written, 0, kept)
    actual = call_actual(model, used)
    assert all(actual[unit] <= bound[unit] for unit in actual)


def test_the_hour_of_the_cache_is_dearer() -> None:
    plain, hour = (raw_bound(replace(ASKED, hour_cache=h), 1000, MODEL) for h in (False, True))
    assert hour[Unit.MICROUSD] - plain[Unit.MICROUSD] == 1600 * (8 - 5)


def test_a_count_by_the_provider_is_tighter_than_bytes() -> None:
    counted = raw_bound(ASKED, 400_000, MODEL, 100_000)
    assert 101_000 < counted[Unit.TOKENS] < 104_000
    assert raw_bound(ASKED, 400_000, MODEL)[Unit.TOKENS] > 400_000


def test_nothing_goes_in_that_does_not_fit_the_window() -> None:
    assert raw_bound(ASKED, 20_000_000, MODEL)[Unit.TOKENS] == CONTEXT_TOKENS + 1000
    small = raw_bound(ASKED, 20_000_000, SMALL, larger_window=False)
    assert small[Unit.TOKENS] == 201_000


def test_every_reading_is_bounded_by_the_window_of_who_reads() -> None:
    asked = replace(ASKED, remote_context=True, rounds=4, compaction=True, fallbacks=(("m", 0),))
    both = raw_bound(asked, 500, SMALL, fallbacks=(MODEL,), larger_window=False)
    written = 2 * (1000 + LONGEST_OUTPUT)
    assert both[Unit.TOKENS] == 6 * 200_000 + 6 * CONTEXT_TOKENS + written
    unsure = raw_bound(asked, 500, SMALL, fallbacks=(MODEL,))
    assert unsure[Unit.TOKENS] == 12 * CONTEXT_TOKENS + written


@pytest.mark.parametrize(
    ("known", "own", "larger"),
    [
        (None, CONTEXT_TOKENS, CONTEXT_TOKENS),
        (200_000, 200_000, CONTEXT_TOKENS),
        (2_000_000, 2_000_000, 2_000_000),
    ],
)
def test_a_window_is_the_largest_there_is_where_a_beta_may_extend_it(
    known: int | None, own: int, larger: int
) -> None:
    model = replace(MODEL, context_tokens=known)
    assert [window_of(model, larger=extended) for extended in (False, True)] == [own, larger]


@pytest.mark.parametrize(
    ("name", "value", "asks"),
    [
        (b"anthropic-beta", b"context-1m-2025-08-07", True),
        (b"Anthropic-Beta", b"files-api-2025-04-14, Context-500k-2027-01-01", True),
        (b"anthropic-beta", b"context-management-2025-06-27,files-api", False),
        (b"x-note", b"context-1m-2025-08-07", False),
    ],
)
def test_only_a_beta_extends_a_window(name: bytes, value: bytes, asks: bool) -> None:
    assert asks_for_larger_window([(b"accept", b"*/*"), (name, value)]) is asks


def test_a_picture_is_bounded_by_what_pictures_take_and_not_by_its_bytes() -> None:
    picture = {"type": "image", "source": {"type": "base64", "data": "A" * 500_000}}
    tiny = {"type": "image", "source": {"type": "base64", "data": "A"}}
    raw = body(messages=[{"role": "user", "content": [picture, tiny]}])
    bound = raw_bound(read_request(raw), len(raw), MODEL)
    assert 2 * IMAGE_TOKENS < bound[Unit.TOKENS] < 2 * IMAGE_TOKENS + 1200


# What the provider publishes of its tools, in tokens, and of the prompt that goes with any tool.
PUBLISHED = {
    "bash_20250124": 245,
    "text_editor_20250728": 700,
    "computer_20251124": 735 + 499,
    "custom": 0,
}
TOOL_PROMPT = 530


@given(st.lists(st.sampled_from(sorted(PUBLISHED)), min_size=1, max_size=8), TEXTS)
def test_tools_that_the_provider_describes_are_within_the_bound(
    kinds: list[str], text: str
) -> None:
    tools = [{"type": kind, "name": f"{kind}-{n}"} for n, kind in enumerate(kinds)]
    raw = body(tools=tools, system=text)
    taken = len(text.encode()) + TOOL_PROMPT + sum(PUBLISHED[kind] for kind in kinds)
    assert first_reading(read_request(raw), len(raw)) >= taken
    counted = first_reading(read_request(raw), len(raw), 100)
    assert counted == first_reading(ASKED, len(raw), 100)  # a count has them


def test_what_only_the_provider_can_count_must_be_counted() -> None:
    asked = replace(ASKED, needs_count=True, unbounded=("document by url",))
    with pytest.raises(RequestRefused, match="document by url"):
        raw_bound(asked, 500, MODEL)
    assert raw_bound(asked, 500, MODEL, 7000)[Unit.TOKENS] > 7000


def test_what_the_provider_reads_again_and_looks_up_is_paid() -> None:
    plain = raw_bound(ASKED, 500, MODEL)
    searching = replace(ASKED, rounds=4, server_tool_uses=3)
    bound = raw_bound(searching, 500, MODEL, tool_fee_microusd=10_000)
    assert bound[Unit.TOKENS] == plain[Unit.TOKENS] + 4 * CONTEXT_TOKENS
    assert bound[Unit.MICROUSD] == plain[Unit.MICROUSD] + 5 * 4 * CONTEXT_TOKENS + 30_000
    free = replace(searching, rounds=10, server_tool_uses=None)
    fees = raw_bound(free, 500, MODEL, tool_fee_microusd=7)[Unit.MICROUSD]
    assert fees - raw_bound(free, 500, MODEL)[Unit.MICROUSD] == 70


def test_a_thread_fills_the_window_whatever_was_counted() -> None:
    held = replace(ASKED, remote_context=True)
    assert raw_bound(held, 500, MODEL, 20)[Unit.TOKENS] == CONTEXT_TOKENS + 1000


def test_a_summary_reads_the_window_and_writes_as_much_as_any_model_can() -> None:
    plain, summing = (raw_bound(replace(ASKED, compaction=c), 500, MODEL) for c in (False, True))
    assert summing[Unit.TOKENS] == plain[Unit.TOKENS] + CONTEXT_TOKENS + LONGEST_OUTPUT


def test_every_model_to_fall_back_on_may_be_paid_as_well() -> None:
    asked = replace(ASKED, fallbacks=(("dear", 5000),))
    dear = replace(MODEL, name="dear", price=Price(8, 40, 10, 0.2))
    both = raw_bound(asked, 500, MODEL, fallbacks=(dear,), tool_fee_microusd=3)
    alone = raw_bound(ASKED, 500, MODEL)
    more = raw_bound(replace(ASKED, max_tokens=5000), 500, dear)
    for unit in (Unit.TOKENS, Unit.MICROUSD):
        assert both[unit] == alone[unit] + more[unit]
    with pytest.raises(RequestRefused, match="fallbacks"):
        raw_bound(asked, 500, MODEL)


ROOMS = st.dictionaries(st.sampled_from(Unit), st.integers(0, 10**7), max_size=3)


@given(MODELS, ROOMS, st.integers(0, 200_000), st.integers(0, 128_000), st.booleans())
def test_a_lowered_length_fits_and_one_more_would_not(
    model: Model, room: dict[Unit, int], tokens: int, asked: int, hour: bool
) -> None:
    def fits(output: int) -> bool:
        bound = call_bound(model, input_tokens=tokens, max_output_tokens=output, hour_cache=hour)
        return all(bound.get(unit, 0) <= left for unit, left in room.items())

    lowered = lowered_max_tokens(room, model, tokens, asked, hour_cache=hour)
    if lowered is None:
        assert not fits(min(256, asked))
    else:
        assert min(256, asked) <= lowered <= asked
        assert fits(lowered)
        assert lowered == asked or not fits(lowered + 1)


def test_an_answer_is_not_made_shorter_than_the_thoughts_before_it() -> None:
    thinking = replace(ASKED, thinking=True, thinking_budget=4096)
    assert (least_output(ASKED), least_output(thinking)) == (256, 4097)
    room = {Unit.TOKENS: 4000}
    assert lowered_max_tokens(room, MODEL, 0, 9000, floor=least_output(thinking)) is None
    assert lowered_max_tokens(room, MODEL, 0, 9000) == 4000
