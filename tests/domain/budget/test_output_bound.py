"""A learned bound covers what it says, whatever the lengths look like, and never asks for less."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.budget.output_bound import (
    CONFIDENCE,
    FLOOR_TOKENS,
    LEAST_SAMPLES,
    MARGIN,
    NEWEST,
    QUANTILE,
    covering_rank,
    learned_bound,
)

HUGE = 10**12
LENGTHS = st.lists(st.integers(0, 100_000), max_size=300)


@pytest.mark.parametrize(
    ("samples", "rank"),
    [(20, None), (44, None), (45, 45), (76, 76), (77, 76), (104, 103), (105, 103), (200, 195)],
)
def test_ranks_are_those_of_the_published_tables(samples: int, rank: int | None) -> None:
    """95 % content at 90 % confidence takes 45 samples; the second largest does from 77 on, the
    third largest from 105 on (Sommerville 1958).
    """
    assert covering_rank(samples, QUANTILE, CONFIDENCE) == rank


@given(st.integers(1, 200), st.floats(0.5, 0.99), st.floats(0.5, 0.99))
def test_a_rank_is_the_smallest_that_covers(samples: int, quantile: float, wanted: float) -> None:
    def confidence(rank: int) -> float:
        terms = (
            math.comb(samples, k) * quantile**k * (1 - quantile) ** (samples - k)
            for k in range(rank)
        )
        return math.fsum(terms)

    rank = covering_rank(samples, quantile, wanted)
    if rank is None:
        assert confidence(samples) < wanted + 1e-9
    else:
        assert confidence(rank) >= wanted - 1e-9
        assert rank == 1 or confidence(rank - 1) < wanted + 1e-9


Draw = Callable[[random.Random], float]
QUANTILES: dict[str, tuple[Draw, float]] = {
    # how a length is drawn, and the true 95 % quantile
    "uniform": (lambda r: r.uniform(2_000, 60_000), 57_100),
    "lognormal": (lambda r: 3_000 * r.lognormvariate(0, 1.5), 3_000 * math.exp(1.5 * 1.644854)),
    "pareto": (lambda r: 1_500 * r.paretovariate(1.1), 1_500 * 0.05 ** (-1 / 1.1)),
    "two kinds": (lambda r: r.uniform(2e3, 3e3) if r.random() < 0.9 else r.uniform(4e4, 5e4), 45e3),
    "always": (lambda r: 9_000, 9_000),
}


def shares_covered(name: str, samples: int, *, margin: float, drift: int = 0) -> float:
    """How often the bound, made from so many lengths, is at or above the true quantile."""
    draw, quantile = QUANTILES[name]
    chance = random.Random(f"{name}/{samples}")
    worlds = 600
    covered = 0
    for _ in range(worlds):
        lengths = [math.ceil(draw(chance)) for _ in range(samples)]
        old = [1_100] * drift
        bound = learned_bound([*lengths, *old], asked=HUGE)
        assert bound is not None
        covered += bound / margin >= quantile
    return covered / worlds


@pytest.mark.parametrize("name", QUANTILES)
@pytest.mark.parametrize("samples", [45, 60, 77, 130, 200])
def test_ninety_of_a_hundred_bounds_cover_the_quantile_even_without_the_margin(
    name: str, samples: int
) -> None:
    # Four standard deviations of 600 worlds below 90 %.
    assert shares_covered(name, samples, margin=MARGIN) >= CONFIDENCE - 0.049


@pytest.mark.parametrize("name", QUANTILES)
def test_after_a_drift_only_what_is_new_counts(name: str) -> None:
    assert shares_covered(name, NEWEST, margin=MARGIN, drift=1_000) >= CONFIDENCE - 0.049


@pytest.mark.parametrize("name", QUANTILES)
def test_few_lengths_are_met_with_a_wider_margin(name: str) -> None:
    assert shares_covered(name, LEAST_SAMPLES, margin=1.0) >= 0.85


@given(st.integers(10, 200), st.integers(1_000, 20_000))
def test_a_sudden_rise_is_followed_within_ten_calls(new: int, level: int) -> None:
    lengths = [4 * level] * new + [level] * NEWEST
    bound = learned_bound(lengths, asked=HUGE)
    assert bound is not None
    assert bound >= 4 * level


def test_a_bound_that_cuts_replies_off_grows_until_it_does_not() -> None:
    """What is cut off teaches only that it was longer; that is enough to get there."""
    lengths, needs = [2_000] * NEWEST, 16_000
    while (bound := learned_bound(lengths, asked=HUGE)) is not None and bound < needs:
        lengths.insert(0, bound)
        assert len(lengths) < NEWEST + 150


@given(LENGTHS, st.integers(1, 200_000))
def test_it_only_lowers_never_below_the_floor_and_never_on_little(
    lengths: list[int], asked: int
) -> None:
    bound = learned_bound(lengths, asked=asked)
    if len(lengths) < LEAST_SAMPLES or asked <= FLOOR_TOKENS:
        assert bound is None
    if bound is not None:
        assert FLOOR_TOKENS <= bound < asked


@given(st.lists(st.integers(0, 100_000), min_size=LEAST_SAMPLES, max_size=300), st.randoms())
def test_longer_replies_never_lower_the_bound_and_order_does_not_matter(
    lengths: list[int], chance: random.Random
) -> None:
    newest = lengths[:NEWEST]
    shuffled = chance.sample(newest, len(newest))
    longer = [length + chance.randrange(1000) for length in newest]
    bound = learned_bound(lengths, asked=HUGE)
    assert learned_bound(shuffled, asked=HUGE) == bound
    longer_bound = learned_bound(longer, asked=HUGE)
    assert bound is not None
    assert longer_bound is not None
    assert longer_bound >= bound


def test_short_replies_are_not_lowered_below_the_floor() -> None:
    assert learned_bound([12] * NEWEST, asked=8_192) == FLOOR_TOKENS
