"""Usage adds up, in any order and in every total."""

from dataclasses import replace

from hypothesis import given

from helios.domain.usage import Usage
from tests.domain.prices import USAGES


@given(USAGES, USAGES, USAGES)
def test_adding_knows_no_order_and_nothing_adds_nothing(a: Usage, b: Usage, c: Usage) -> None:
    assert (a + b) + c == a + (b + c) == (c + b) + a
    assert a + Usage() == a


@given(USAGES, USAGES)
def test_totals_of_a_sum_are_sums_of_totals(a: Usage, b: Usage) -> None:
    assert (a + b).prompt_tokens == a.prompt_tokens + b.prompt_tokens
    assert (a + b).total_tokens == a.total_tokens + b.total_tokens


@given(USAGES)
def test_every_kind_counts_once_and_output_is_no_prompt(usage: Usage) -> None:
    for kind in ("input_tokens", "cache_write_tokens", "cache_read_tokens"):
        more = replace(usage, **{kind: getattr(usage, kind) + 1})
        assert more.prompt_tokens == usage.prompt_tokens + 1
        assert more.total_tokens == usage.total_tokens + 1
    more = replace(usage, output_tokens=usage.output_tokens + 1)
    assert more.prompt_tokens == usage.prompt_tokens
    assert more.total_tokens == usage.total_tokens + 1
