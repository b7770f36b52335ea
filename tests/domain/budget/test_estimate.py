"""What a call is held at is never below what it can turn out to be."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from helios.domain.budget.estimate import call_actual, call_bound, input_bound
from helios.domain.budget.units import Unit
from helios.domain.pricing import Model, Price, Tier
from helios.domain.usage import Usage
from tests.domain.prices import MODELS

BYTES = st.integers(0, 2_000_000)
OUTPUT = st.integers(0, 128_000)


@st.composite
def usages_within(draw: st.DrawFn, prompt: int, output: int) -> Usage:
    """What may come back: any split of at most this prompt, and at most this output."""
    cuts = sorted(draw(st.lists(st.integers(0, prompt), min_size=3, max_size=3)))
    written, read, plain = cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1]
    return Usage(plain, draw(st.integers(0, output)), written, read)


@given(BYTES)
def test_every_byte_may_be_a_token_and_the_providers_own_prompt_comes_on_top(size: int) -> None:
    assert input_bound(size) >= size + 346


@given(MODELS, st.integers(0, 400_000), OUTPUT, st.data())
def test_no_call_turns_out_dearer_than_its_bound_in_any_unit(
    model: Model, prompt: int, output: int, data: st.DataObject
) -> None:
    bound = call_bound(model, input_tokens=prompt, max_output_tokens=output)
    actual = call_actual(model, data.draw(usages_within(prompt, output)))
    assert actual.keys() == bound.keys()
    assert all(actual[unit] <= bound[unit] for unit in bound)


def test_a_prompt_that_turns_out_shorter_and_so_dearer_is_within_its_bound() -> None:
    dear, cheap = Price(4, 20, 5, 0.2), Price(2, 10, 2.5, 0.1)
    model = Model("m", Tier.STRONG, dear, long_prompt_tokens=1000, long_prompt=cheap)
    bound = call_bound(model, input_tokens=1200, max_output_tokens=50)
    for prompt in (900, 1000, 1001, 1200):
        actual = call_actual(model, Usage(0, 50, cache_write_tokens=prompt))
        assert actual[Unit.MICROUSD] <= bound[Unit.MICROUSD]


@given(MODELS, BYTES, BYTES, OUTPUT, OUTPUT)
def test_more_to_read_or_to_write_is_never_held_at_less(
    model: Model, size: int, more: int, output: int, longer: int
) -> None:
    small = call_bound(model, input_tokens=input_bound(size), max_output_tokens=output)
    big = call_bound(
        model, input_tokens=input_bound(size + more), max_output_tokens=output + longer
    )
    assert all(small[unit] <= big[unit] for unit in small)


@given(MODELS, st.integers(0, 400_000), OUTPUT)
def test_a_bound_is_reached_so_no_call_is_refused_for_nothing(
    model: Model, prompt: int, output: int
) -> None:
    """All of the prompt in its dearest kind costs the bound, unless a long prompt is cheaper."""
    bound = call_bound(model, input_tokens=prompt, max_output_tokens=output)
    kinds = ("input_tokens", "cache_write_tokens", "cache_read_tokens")
    worst = [Usage(output_tokens=output, **{kind: prompt}) for kind in kinds]
    assert bound[Unit.TOKENS] == prompt + output
    plain = replace(model, long_prompt=None)
    if model.price_for(prompt) == model.price:
        assert bound[Unit.MICROUSD] == max(plain.cost_microusd(usage) for usage in worst)


@given(MODELS, BYTES, OUTPUT)
def test_a_call_is_one_message(model: Model, size: int, output: int) -> None:
    bound = call_bound(model, input_tokens=size, max_output_tokens=output)
    actual = call_actual(model, Usage(input_tokens=size, output_tokens=output))
    assert bound[Unit.MESSAGES] == actual[Unit.MESSAGES] == 1
    assert actual[Unit.TOKENS] == size + output
    assert actual[Unit.MICROUSD] == model.cost_microusd(Usage(size, output))
