"""The books of one limit: room is what is left, and nothing counts where it does not belong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever, Window
from helios.domain.pricing import Tier
from tests.domain.prices import TIERS

UNITS = st.sampled_from(Unit)
AMOUNTS = st.dictionaries(UNITS, st.integers(0, 1000))
SOME_TIERS = st.frozensets(TIERS)
NUMBERS = st.integers(0, 10**9)


def limit(cap: int, unit: Unit = Unit.TOKENS, tiers: frozenset[Tier] = frozenset()) -> Limit:
    return Limit("한도", unit, cap, Forever(), "window", "the limit", tiers)


@given(UNITS, SOME_TIERS, AMOUNTS, TIERS)
def test_a_limit_counts_its_own_unit_of_its_own_tiers_and_nothing_else(
    unit: Unit, tiers: frozenset[Tier], amounts: dict[Unit, int], tier: Tier
) -> None:
    found = limit(100, unit, tiers).share_of(amounts, tier)
    others = {other: amount for other, amount in amounts.items() if other is not unit}
    counts = not tiers or tier in tiers
    assert limit(100, unit, tiers).applies_to(tier) == counts
    assert found == (amounts.get(unit, 0) if counts else 0)
    assert limit(100, unit, tiers).share_of(others, tier) == 0


@given(NUMBERS, NUMBERS, NUMBERS)
def test_room_is_what_is_neither_spent_nor_held_and_never_less_than_none(
    cap: int, spent: int, held: int
) -> None:
    balance = Balance(limit(cap), Window(0.0), spent, held)
    taken = spent + held
    assert balance.room >= 0
    assert balance.room + taken == max(cap, taken)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_a_breach_makes_no_room(cap: int, spent: int, held: int, breach: int) -> None:
    plain = Balance(limit(cap), Window(0.0), spent, held)
    assert Balance(limit(cap), Window(0.0), spent, held, breach).room == plain.room


@given(st.integers(1, 10**9), NUMBERS, NUMBERS)
def test_a_limit_is_full_exactly_when_there_is_no_room(cap: int, spent: int, held: int) -> None:
    balance = Balance(limit(cap), Window(0.0), spent, held)
    assert (balance.used >= 1) == (balance.room == 0)
    assert balance.used * cap == pytest.approx(spent + held)


@pytest.mark.parametrize("cap", [0, -1])
def test_a_limit_of_nothing_is_full(cap: int) -> None:
    balance = Balance(limit(cap), Window(0.0))
    assert (balance.room, balance.used) == (0, 1.0)
