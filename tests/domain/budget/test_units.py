"""Amounts as people read them: near enough, and something never reads as nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.budget.units import Unit, show

UNITS = st.sampled_from(Unit)


@pytest.mark.parametrize(
    ("unit", "amount", "shown"),
    [
        (Unit.MESSAGES, 12, "12 messages"),
        (Unit.MESSAGES, 1, "1 message"),
        (Unit.MESSAGES, 0, "0 messages"),
        (Unit.MESSAGES, 1_200, "1,200 messages"),
        (Unit.TOKENS, 1, "1 token"),
        (Unit.TOKENS, 9_999, "9,999 tokens"),
        (Unit.TOKENS, 34_000, "34k tokens"),
        (Unit.TOKENS, 999_499, "999k tokens"),
        (Unit.TOKENS, 1_000_000, "1M tokens"),
        (Unit.TOKENS, 2_450_000, "2.45M tokens"),
        (Unit.MICROUSD, 0, "$0.00"),
        (Unit.MICROUSD, 1, "$0.000001"),
        (Unit.MICROUSD, 250, "$0.0003"),
        (Unit.MICROUSD, 10_000, "$0.01"),
        (Unit.MICROUSD, 148_100, "$0.1481"),
        (Unit.MICROUSD, 1_250_000, "$1.25"),
        (Unit.MICROUSD, 2_000_000_000, "$2,000.00"),
        (Unit.MILLIPOINTS, 12_500, "12.5 points"),
        (Unit.MILLIPOINTS, 1_000, "1 point"),
        (Unit.MILLIPOINTS, 10**10, "10,000,000 points"),
    ],
)
def test_an_amount_is_shown_as_people_say_it(unit: Unit, amount: int, shown: str) -> None:
    assert show(unit, amount) == shown


@given(UNITS, st.integers(1, 10**9))
def test_something_never_reads_as_nothing(unit: Unit, amount: int) -> None:
    assert re.search("[1-9]", show(unit, amount))


@given(st.integers(0, 10**12))
def test_shown_money_is_off_by_half_of_its_last_digit_at_most(amount: int) -> None:
    shown = show(Unit.MICROUSD, amount).removeprefix("$").replace(",", "")
    digits = len(shown.partition(".")[2])
    assert abs(float(shown) - amount / 1e6) <= 0.5000001 * 10**-digits


@given(UNITS, st.integers(0, 10**9))
def test_every_amount_names_its_unit(unit: Unit, amount: int) -> None:
    word = {Unit.MICROUSD: "$", Unit.MILLIPOINTS: "point"}.get(unit, unit.value[:-1])
    assert word in show(unit, amount)
