"""The circuit breaker: when it opens, whom it lets try, and that it always comes back."""

from hypothesis import given
from hypothesis import strategies as st

from helios.domain.gateway.breaker import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    PROBE_S,
    TRANSITIONS,
    TRIP_AFTER,
    WITHIN_S,
    Breaker,
    Event,
    Outcome,
    Phase,
    ask,
    tell,
)


def failed(breaker: Breaker, times: int, now: float) -> Breaker:
    for _ in range(times):
        breaker = tell(breaker, Outcome.FAILED, breaker.epoch, now)
    return breaker


def opened(now: float = 100.0) -> Breaker:
    return failed(Breaker(), TRIP_AFTER, now)


def probing(breaker: Breaker, now: float) -> Breaker:
    permit = ask(breaker, now)
    assert permit.wait_s == 0
    assert permit.breaker.phase is Phase.HALF_OPEN
    return permit.breaker


def test_it_opens_with_the_last_of_so_many_failures_in_a_row() -> None:
    almost = failed(Breaker(), TRIP_AFTER - 1, 100)
    assert almost.phase is Phase.CLOSED
    assert ask(almost, 100).wait_s == 0
    assert failed(almost, 1, 100).phase is Phase.OPEN


def test_an_answer_in_between_begins_the_count_anew() -> None:
    almost = failed(Breaker(), TRIP_AFTER - 1, 100)
    answered = tell(almost, Outcome.ANSWERED, almost.epoch, 100)
    assert failed(answered, TRIP_AFTER - 1, 100).phase is Phase.CLOSED


def test_what_nobody_knows_neither_counts_nor_clears() -> None:
    almost = failed(Breaker(), TRIP_AFTER - 1, 100)
    unknown = tell(almost, Outcome.UNKNOWN, almost.epoch, 100)
    assert failed(unknown, 1, 100).phase is Phase.OPEN


def test_failures_far_apart_do_not_open_it() -> None:
    breaker = Breaker()
    for number in range(20):
        breaker = failed(breaker, 1, number * WITHIN_S)
    assert breaker.phase is Phase.CLOSED


def test_open_it_lets_nobody_through_until_the_pause_is_over_then_one() -> None:
    breaker = opened(100)
    assert ask(breaker, 100.25).wait_s == FIRST_PAUSE_S - 0.25
    trying = probing(breaker, 100 + FIRST_PAUSE_S)
    assert ask(trying, 100 + FIRST_PAUSE_S).wait_s == PROBE_S


def test_a_probe_that_is_answered_closes_it() -> None:
    trying = probing(opened(100), 200)
    closed = tell(trying, Outcome.ANSWERED, trying.epoch, 201)
    assert closed.phase is Phase.CLOSED
    assert failed(closed, TRIP_AFTER - 1, 202).phase is Phase.CLOSED


def test_each_failed_probe_doubles_the_pause_up_to_the_longest() -> None:
    breaker, now, pauses = opened(100), 100.0, []
    for _ in range(8):
        now += ask(breaker, now).wait_s
        trying = probing(breaker, now)
        breaker = tell(trying, Outcome.FAILED, trying.epoch, now)
        pauses.append(ask(breaker, now).wait_s)
    assert pauses == [
        2,
        4,
        8,
        16,
        LONGEST_PAUSE_S,
        LONGEST_PAUSE_S,
        LONGEST_PAUSE_S,
        LONGEST_PAUSE_S,
    ]


def test_who_hangs_up_as_the_probe_leaves_the_place_to_the_next() -> None:
    trying = probing(opened(100), 200)
    left = tell(trying, Outcome.UNKNOWN, trying.epoch, 201)
    assert left.phase is Phase.OPEN
    assert probing(left, 201).pause_s == FIRST_PAUSE_S


def test_a_probe_without_an_outcome_makes_room_for_another_and_still_counts() -> None:
    first = probing(opened(100), 200)
    second = probing(first, 200 + PROBE_S)
    assert second.epoch == first.epoch
    assert tell(second, Outcome.ANSWERED, first.epoch, 300).phase is Phase.CLOSED


def test_stragglers_from_before_change_nothing() -> None:
    old = Breaker().epoch
    trying = probing(opened(100), 200)
    for outcome in Outcome:
        assert tell(opened(100), outcome, old, 150) == opened(100)
        assert tell(trying, outcome, old, 201) == trying


def test_the_table_leads_back_to_closed_from_everywhere() -> None:
    reach = {Phase.CLOSED}
    for _ in Phase:
        reach |= {start for (start, _), end in TRANSITIONS.items() if end in reach}
    assert reach == set(Phase)
    assert {event for _, event in TRANSITIONS} == set(Event)


TIMES = st.one_of(st.floats(-1e6, 1e6), st.floats(60, 140))
STEPS = st.lists(st.tuples(st.one_of(st.sampled_from(Outcome), st.just(None)), TIMES), max_size=60)


@given(st.sampled_from([Breaker(), opened(100.0)]), STEPS)
def test_whatever_the_clock_does_no_wait_is_longer_than_a_pause_and_it_recovers(
    breaker: Breaker, steps
) -> None:
    now = 0.0
    for outcome, now in steps:
        if outcome is None:
            permit = ask(breaker, now)
            assert 0 <= permit.wait_s <= max(LONGEST_PAUSE_S, PROBE_S)
            breaker = permit.breaker
        else:
            before = breaker
            breaker = tell(breaker, outcome, breaker.epoch, now)
            moved = (before.phase, breaker.phase)
            assert moved[0] is moved[1] or moved in {(s, e) for (s, _), e in TRANSITIONS.items()}
    later = now + LONGEST_PAUSE_S + PROBE_S
    permit = ask(breaker, later)
    if permit.wait_s:
        # After a clock that went back, one pause more may be left.
        assert permit.wait_s <= LONGEST_PAUSE_S
        permit = ask(permit.breaker, later + permit.wait_s)
    assert permit.wait_s == 0
    well = tell(permit.breaker, Outcome.ANSWERED, permit.epoch, later)
    assert well.phase is Phase.CLOSED


@given(st.lists(st.tuples(st.sampled_from(["ask", *Outcome]), st.floats(0, 3)), max_size=80))
def test_half_open_has_one_probe_at_a_time(steps) -> None:
    breaker, now = opened(0.0), 0.0
    probes: dict[int, float] = {}
    for step, pause_s in steps:
        now += pause_s
        if step != "ask":
            probes.pop(breaker.epoch, None)
            breaker = tell(breaker, step, breaker.epoch, now)
            continue
        permit = ask(breaker, now)
        breaker = permit.breaker
        if permit.wait_s == 0 and breaker.phase is Phase.HALF_OPEN:
            assert now - probes.get(breaker.epoch, -PROBE_S) >= PROBE_S
            probes[breaker.epoch] = now
