"""The limit of concurrency against a simulated provider of some capacity."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helios.domain.gateway.concurrency import (
    DECREASE,
    LEAST,
    LONGEST_CLOSURE_S,
    MOST,
    ROUND_S,
    START,
    Concurrency,
    on_lane_loss,
    on_lane_overload,
    on_loss,
    on_success,
    room,
)


def test_ordinary_use_never_waits() -> None:
    state = Concurrency()
    for inflight in range(int(START)):
        assert room(state, inflight, 0) == 0
    assert room(state, int(START), 0) == math.inf


def test_until_the_first_loss_a_round_of_successes_doubles_the_limit() -> None:
    state = Concurrency()
    for _ in range(64):
        state = on_success(state, 64, 0)
    assert state.limit == 128


def test_after_a_loss_a_round_of_successes_adds_one() -> None:
    state = on_loss(Concurrency(limit=100), 10)
    assert state.limit == 100 * DECREASE
    for _ in range(70):
        state = on_success(state, 70, 10 + ROUND_S)
    assert 70.9 < state.limit < 71.1


def test_a_limit_that_is_not_used_stays() -> None:
    state = Concurrency()
    assert on_success(state, 31, 0) == state
    assert on_success(state, 32, 0) != state


def test_many_losses_of_one_round_are_one_and_nothing_grows_in_it() -> None:
    state = on_loss(Concurrency(), 5)
    again = on_loss(state, 5 + ROUND_S / 2)
    assert again.limit == state.limit
    assert on_success(state, 60, 5 + ROUND_S / 2) == state
    assert on_loss(state, 5 + ROUND_S).limit == state.limit * DECREASE


def test_one_always_may_go() -> None:
    state = Concurrency()
    for number in range(50):
        state = on_loss(state, number * ROUND_S)
    assert state.limit == LEAST
    assert room(state, 0, 50) == 0
    assert room(state, 1, 50) == math.inf


def test_retry_after_closes_until_then_also_within_a_round() -> None:
    state = on_loss(Concurrency(), 5, 2)
    assert room(state, 0, 6) == 1
    longer = on_loss(state, 5.5, 4)
    assert room(longer, 0, 7) == 2.5
    assert on_loss(longer, 5.6, 1) == longer
    assert room(longer, 0, 9.5) == 0


def test_a_quota_s_window_of_hours_does_not_close_the_upstream() -> None:
    for wait_s in (LONGEST_CLOSURE_S + 1, 18_000, math.inf, math.nan, 0, -5):
        assert room(on_loss(Concurrency(), 5, wait_s), 0, 5) == 0


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 5), st.integers(0, 3_000)), max_size=300))
def test_the_limit_stays_between_the_least_and_the_most(steps) -> None:
    state, now = Concurrency(), 0.0
    for lost, pause_s, inflight in steps:
        now += pause_s
        state = on_loss(state, now, pause_s) if lost else on_success(state, inflight, now)
        assert LEAST <= state.limit <= MOST
        assert room(state, 0, now + LONGEST_CLOSURE_S) == 0


@settings(max_examples=30)
@given(st.integers(1, 200), st.sampled_from([0.1, 0.3, 1.0, 4.0]), st.integers(1, 300))
def test_it_finds_what_the_provider_takes(capacity: int, round_trip_s: float, demand: int) -> None:
    """Rounds of as many requests as may go; what is beyond the capacity is refused."""
    state, now, seen = Concurrency(), 0.0, []
    for number in range(300):
        now += round_trip_s
        sent = min(demand, math.floor(state.limit))
        assert 1 <= sent <= MOST
        for _ in range(min(sent, capacity)):
            state = on_success(state, sent, now)
        if sent > capacity:
            state = on_loss(state, now)
        if number >= 150:
            seen.append(sent)
    wanted = min(capacity, demand)
    assert min(seen) >= max(1, math.floor(min(wanted, capacity * DECREASE) * 0.95))
    assert max(seen) <= min(demand, capacity + max(2, capacity * 0.05))


def test_what_a_lane_learns_starts_from_the_whole_and_leaves_it_alone() -> None:
    whole = Concurrency(limit=100, closed_until=50)
    own = on_lane_loss(None, whole, 300, 5, 7)
    assert own.limit == 100 * DECREASE
    assert room(own, 0, 6) == 6
    assert on_lane_loss(own, whole, 1, 5 + ROUND_S).limit == own.limit * DECREASE
    assert room(whole, 0, 6) == 44


@pytest.mark.parametrize(("inflight", "left"), [(40, 28), (2, 1.4), (1, LEAST), (0, LEAST)])
def test_the_first_loss_of_a_lane_starts_from_what_was_there(inflight: int, left: float) -> None:
    assert on_lane_loss(None, Concurrency(limit=MOST), inflight, 5).limit == left
    told_to_wait = on_lane_overload(None, 1, 20)
    assert on_lane_loss(told_to_wait, Concurrency(limit=MOST), inflight, 5).limit == left


def test_an_overload_closes_its_lane_and_leaves_its_limit() -> None:
    own = on_lane_overload(None, 5, 7)
    assert (room(own, 0, 6), own.limit) == (6, MOST)
    assert room(on_lane_overload(None, 5, None), 0, 5) == 0
    assert on_lane_overload(replace(own, limit=3), 6, 7).limit == 3
