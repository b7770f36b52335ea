"""What a provider's figure says before anything was seen to change: a share, and no size."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.budget.calibration import Calibration, calibrate, corrected_cap
from helios.domain.budget.crossings import Reading
from helios.domain.budget.signal import Signal, Source
from helios.domain.budget.units import Unit
from tests.domain.budget.window_world import LENGTH, START

AS_SET = 900
NOW = START + 10_000

levels = st.integers(0, 99)
sources = st.sampled_from(["headers", "cli", "statusline"])


def reading(percent: int, spent: int, at: float, source: Source = "headers") -> Reading:
    signal = Signal("five_hour", percent / 100, START + at, source, START + LENGTH)
    return Reading(signal, spent)


def learn(*readings: Reading, grain: int = 1) -> Calibration:
    return calibrate(readings, Unit.MESSAGES, grain=grain)


def cap_by(learned: Calibration, spent: int, limit: int = AS_SET) -> int:
    return corrected_cap(limit, learned, spent=spent, now=NOW).cap


def left_as_set(percent: int, limit: int = AS_SET) -> int:
    return limit * (100 - percent) // 100


@pytest.mark.parametrize("source", ["headers", "cli", "statusline"])
def test_a_share_used_by_others_leaves_the_rest_of_the_window_as_set(source: Source) -> None:
    correction = corrected_cap(AS_SET, learn(reading(42, 3, 60, source)), spent=3, now=NOW)
    assert correction.cap == 3 + 522
    assert correction.reason == (
        "the provider shows 42% when Helios had spent 3 messages; what the window holds is not "
        "learned yet and taken as set, so 522 messages were left"
    )


@given(levels, st.integers(0, 2000), st.integers(1, 10**6), sources)
def test_the_first_figure_never_takes_more_than_its_share(
    percent: int, spent: int, limit: int, source: Source
) -> None:
    cap = cap_by(learn(reading(percent, spent, 60, source)), spent, limit)
    assert cap == min(limit, spent + left_as_set(percent, limit))


@given(st.lists(st.tuples(levels, st.integers(0, 3), sources), min_size=1, max_size=25))
def test_a_person_who_works_beside_helios_never_locks_it_out(
    moves: list[tuple[int, int, Source]],
) -> None:
    """The gauge rises because of others while Helios makes a call now and then."""
    spent, readings = 0, []
    for at, (percent, calls, source) in enumerate(sorted(moves, key=lambda move: move[0])):
        spent += calls
        readings.append(reading(percent, spent, 60.0 * (at + 1), source))
        learned = learn(*readings)
        assert learned.gauge is not None
        honest = learned.gauge.spent + left_as_set(round(learned.gauge.level * 100))
        assert cap_by(learned, spent) >= min(AS_SET, honest)


@given(st.lists(levels, min_size=1, max_size=12), levels, levels, st.integers(0, 500))
def test_a_fuller_gauge_never_leaves_more(
    earlier: list[int], one: int, other: int, spent: int
) -> None:
    before = [reading(p, n, n + 1.0) for n, p in enumerate(sorted(earlier))]
    low, high = sorted((max(one, *earlier), max(other, *earlier)))
    spent += len(before)
    caps = [cap_by(learn(*before, reading(p, spent, 500)), spent) for p in (low, high, 100)]
    assert caps == sorted(caps, reverse=True)
    assert max(caps) <= AS_SET
    assert caps[-1] == min(spent, AS_SET)


def test_a_full_window_is_closed_until_it_resets() -> None:
    full = learn(reading(100, 7, 60, "statusline"))
    refused = corrected_cap(AS_SET, full, spent=9, now=NOW)
    assert (refused.cap, refused.reason) == (
        9,
        "the provider shows 100%: the window is closed until it resets",
    )
    assert corrected_cap(AS_SET, full, spent=0, now=START + LENGTH).cap == AS_SET


def test_a_window_that_refuses_is_closed_until_an_answer_says_otherwise() -> None:
    one = reading(97, 7, 60)
    rejected = replace(one, signal=replace(one.signal, status="rejected"))
    refused = corrected_cap(AS_SET, learn(rejected), spent=7, now=NOW)
    assert (refused.cap, "refuses calls" in refused.reason) == (7, True)
    assert cap_by(learn(rejected, reading(97, 7, 61, "statusline")), 7) == 7
    assert cap_by(learn(rejected, reading(97, 7, 61)), 7) == 7 + 27


def test_moves_of_less_than_half_a_window_correct_nothing() -> None:
    """Each percent took ten of Helios's messages: ten a step is a thousand a window, if alone."""
    alone = [reading(n, 10 * n, n + 1.0) for n in range(20, 71)]
    learned = learn(*alone[:50])
    assert learned.capacity is not None
    assert (learned.measured, learned.capacity.high) == (False, math.inf)
    learned = learn(*alone)
    assert learned.capacity is not None
    assert learned.measured
    assert learned.capacity.low <= 1000 <= learned.capacity.high
    small = corrected_cap(5000, learned, spent=700, now=NOW)
    assert small.cap < 1000


def test_a_window_smaller_than_a_hundred_of_the_largest_steps_is_not_measured() -> None:
    coarse = [reading(5 * n, n, n + 1.0) for n in range(8, 20)]
    assert not learn(*coarse).measured
    assert cap_by(learn(*coarse), 19) == 19 + left_as_set(95)
    assert learn(*coarse, grain=0).measured


def test_a_status_line_proves_no_size() -> None:
    shown = [reading(n, 10 * n, n + 1.0, "statusline") for n in range(10, 90)]
    learned = learn(*shown)
    assert learned.capacity is None
    assert cap_by(learned, 890) == 900


def test_answers_outweigh_a_status_line_that_claims_more() -> None:
    """Such as an example from the documentation, pasted."""
    claimed = reading(95, 3, 60, "statusline")
    answers = [reading(5, 3 + n, 61.0 + n) for n in range(3)]
    assert cap_by(learn(claimed, *answers[:2]), 4) == 3 + left_as_set(95)
    assert cap_by(learn(claimed, *answers), 5) == 5 + left_as_set(5)


full = st.tuples(st.just(100), sources)
lower = st.tuples(st.integers(0, 98), sources)
in_doubt = st.lists(
    st.tuples(st.lists(lower, max_size=2), full).map(lambda part: [*part[0], part[1]])
)


@given(full, in_doubt, st.lists(lower, min_size=3, max_size=3))
def test_a_closed_window_is_open_again_after_three_lower_figures_in_a_row(
    closing: tuple[int, Source],
    doubts: list[list[tuple[int, Source]]],
    lowered: list[tuple[int, Source]],
) -> None:
    """Whoever shows them, a status line too: it can close, and no call passes to bring more."""
    told = [closing, *(figure for part in doubts for figure in part), *lowered]
    readings = [reading(p, 7, 60.0 + n, source) for n, (p, source) in enumerate(told)]
    for end in range(1, len(readings)):
        assert cap_by(learn(*readings[:end]), 7) == 7
    assert cap_by(learn(*readings), 7) == min(AS_SET, 7 + left_as_set(lowered[-1][0]))


@given(st.integers(20, 97), st.integers(1, 19), st.sampled_from(["headers", "cli"]))
def test_a_window_that_refused_is_open_again_by_status_lines_that_show_less(
    percent: int, less: int, source: Source
) -> None:
    said = reading(percent, 7, 60, source)
    refused = replace(said, signal=replace(said.signal, status="rejected"))
    lines = [reading(percent - less, 7, 61.0 + n, "statusline") for n in range(3)]
    same = [reading(percent, 7, 61.0 + n, "statusline") for n in range(9)]
    again = replace(refused, signal=replace(refused.signal, at=START + 62.5))
    assert cap_by(learn(refused, *same), 7) == 7
    assert cap_by(learn(refused, *lines, again), 7) == 7
    assert cap_by(learn(refused, *lines[:2]), 7) == 7
    fuller = reading(percent + 2, 7, 59)
    assert cap_by(learn(fuller, refused, *lines[:2]), 7) == 7
    assert cap_by(learn(refused, *lines), 7) == min(AS_SET, 7 + left_as_set(percent - less))


def test_where_the_size_is_known_the_last_step_is_closed_too() -> None:
    learned = [reading(n, 10 * n, n + 1.0) for n in range(20, 100)]
    lines = [reading(5, 990, 200.0 + n, "statusline") for n in range(3)]
    assert cap_by(learn(*learned, *lines[:2]), 990, limit=5000) == 990
    assert cap_by(learn(*learned, *lines), 990, limit=5000) > 1900


def test_paid_overage_is_taken_back_by_who_told_of_it() -> None:
    lines = [reading(5, 7, 61.0 + n, "statusline") for n in range(9)]
    assert cap_by(learn(reading(102, 7, 60, "statusline"), *lines), 7) == 7 + left_as_set(5)
    paid = reading(100, 7, 60)
    paid = replace(paid, signal=replace(paid.signal, overage=True))
    assert cap_by(learn(paid, *lines), 7) == 7
    answers = [reading(5, 7, 80.0 + n) for n in range(3)]
    assert cap_by(learn(paid, *lines, *answers), 7) == 7 + left_as_set(5)
