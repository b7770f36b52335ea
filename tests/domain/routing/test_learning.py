"""What is learnt is a rate, and it goes where the outcomes go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.routing.learning import ALPHA, PRIOR, Learned, learn

KEY = ("coding", "model")
RESULTS = st.lists(st.booleans(), max_size=40)
OUTCOMES = st.lists(
    st.tuples(st.sampled_from(["coding", "검토"]), st.sampled_from("ab"), st.booleans())
)


def rate(results: list[bool]) -> float:
    return learn((*KEY, result) for result in results).rate(*KEY)


@given(OUTCOMES)
def test_rates_are_rates_and_counts_count(outcomes: list[tuple[str, str, bool]]) -> None:
    learned = learn(outcomes)
    for key in {(task_type, model) for task_type, model, _ in outcomes}:
        assert 0 <= learned.rate(*key) <= 1
        assert learned.count(*key) == sum(outcome[:2] == key for outcome in outcomes)


@pytest.mark.parametrize("learned", [Learned(), learn([("other", "model", False)])])
def test_before_any_outcome_a_model_is_taken_at_the_prior(learned: Learned) -> None:
    assert learned.rate(*KEY) == PRIOR
    assert learned.count(*KEY) == 0


@given(RESULTS)
def test_the_rate_is_the_mean_that_forgets_at_alpha(results: list[bool]) -> None:
    newest_first = list(reversed(results))
    kept = PRIOR * (1 - ALPHA) ** len(results)
    weighted = sum(ALPHA * (1 - ALPHA) ** age for age, won in enumerate(newest_first) if won)
    assert rate(results) == pytest.approx(kept + weighted)


@given(RESULTS, st.booleans(), st.integers(1, 60))
def test_more_of_the_same_outcome_comes_ever_closer_to_it(
    before: list[bool], result: bool, more: int
) -> None:
    distances = [abs(rate([*before, *[result] * n]) - result) for n in range(more + 1)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] <= (1 - ALPHA) ** more + 1e-9


@given(st.lists(st.booleans(), min_size=2, max_size=8), RESULTS)
def test_a_steady_share_of_successes_is_found_whatever_was_believed(
    pattern: list[bool], before: list[bool]
) -> None:
    steady = pattern * 20
    over_one_round = [rate([*before, *steady, *pattern[:n]]) for n in range(len(pattern))]
    mean = sum(over_one_round) / len(pattern)
    assert mean == pytest.approx(sum(pattern) / len(pattern), abs=0.01)


@given(RESULTS, RESULTS)
def test_a_success_never_lowers_and_a_failure_never_raises(
    before: list[bool], after: list[bool]
) -> None:
    lost = rate([*before, False, *after])
    assert rate([*before, True, *after]) > lost
    assert rate([*before, True]) >= rate(before) >= rate([*before, False])


@given(RESULTS, OUTCOMES)
def test_others_outcomes_teach_nothing(
    results: list[bool], others: list[tuple[str, str, bool]]
) -> None:
    mixed = [(*KEY, result) for result in results]
    assert learn([*others, *mixed]).rate(*KEY) == rate(results)


def test_the_newest_outcome_weighs_most() -> None:
    assert rate([False, False, True]) > rate([True, False, False])
