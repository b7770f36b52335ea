"""Never more than the limit in any minute, and an exact word on how long to wait."""

from hypothesis import given
from hypothesis import strategies as st

from helios.domain.gateway.rate import WINDOW, Calls, take

MINUTE_MS = 60_000
LIMITS = st.integers(1, 12)
GAPS_MS = st.one_of(st.just(0), st.integers(0, 300), st.integers(0, 30_000), st.just(MINUTE_MS))
START_MS = st.integers(-100_000, 10**9)


@given(LIMITS, START_MS, st.lists(GAPS_MS, max_size=80))
def test_never_more_than_the_limit_in_any_minute(
    limit: int, start_ms: int, gaps_ms: list[int]
) -> None:
    calls, now_ms, passed = Calls(), start_ms, []
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        calls, wait_s = take(calls, limit, now_ms / 1000)
        if not wait_s:
            passed.append(now_ms)
    for first, last in zip(passed, passed[limit:], strict=False):
        assert last - first >= MINUTE_MS, "more than the limit within a minute"


@given(LIMITS, st.lists(st.integers(-100_000, 100_000), max_size=80))
def test_nor_by_a_clock_that_goes_back_and_forth(limit: int, steps_ms: list[int]) -> None:
    """A minute is one of the furthest time seen."""
    calls, now_ms, latest_ms, passed = Calls(), 0, 0, []
    for step_ms in steps_ms:
        now_ms += step_ms
        latest_ms = max(latest_ms, now_ms) if passed else now_ms
        calls, wait_s = take(calls, limit, now_ms / 1000)
        if not wait_s:
            passed.append(latest_ms)
        ticks = [ended for ended, _ in calls.ended]
        assert ticks == sorted(set(ticks))
    for first, last in zip(passed, passed[limit:], strict=False):
        assert last - first >= MINUTE_MS


@given(LIMITS, START_MS, st.lists(GAPS_MS, max_size=80))
def test_nobody_waits_more_than_a_tenth_of_a_second_too_long(
    limit: int, start_ms: int, gaps_ms: list[int]
) -> None:
    """Refused only when the limit was used up within the last minute and a tenth."""
    calls, now_ms, passed = Calls(), start_ms, []
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        calls, wait_s = take(calls, limit, now_ms / 1000)
        if wait_s:
            recent = [at for at in passed if at > now_ms - MINUTE_MS - 100]
            assert len(recent) == limit
            assert 0 < wait_s <= 60.1
        else:
            passed.append(now_ms)


@given(LIMITS, START_MS, st.lists(GAPS_MS, max_size=40))
def test_it_says_exactly_how_long_to_wait(limit: int, start_ms: int, gaps_ms: list[int]) -> None:
    calls, now_ms = Calls(), start_ms
    for gap_ms in [*gaps_ms, *[0] * limit]:
        now_ms += gap_ms
        calls, wait_s = take(calls, limit, now_ms / 1000)
    calls, wait_s = take(calls, limit, now_ms / 1000)
    assert wait_s
    assert take(calls, limit, now_ms / 1000 + wait_s)[1] == 0
    _, rest_s = take(calls, limit, now_ms / 1000 + wait_s - 0.002)
    assert 0 < rest_s <= 0.003


@given(LIMITS, START_MS, st.lists(st.integers(0, 10**7), min_size=1, max_size=20))
def test_a_clock_that_goes_back_frees_nothing(
    limit: int, start_ms: int, back_ms: list[int]
) -> None:
    calls, now_s = Calls(), start_ms / 1000
    for _ in range(limit):
        calls, wait_s = take(calls, limit, now_s)
        assert not wait_s
    for back in back_ms:
        calls, wait_s = take(calls, limit, now_s - back / 1000)
        assert wait_s >= 60
    assert take(calls, limit, now_s + 60.1)[1] == 0


def test_all_of_the_limit_may_come_at_once_and_no_limit_is_none() -> None:
    calls = Calls()
    for _ in range(500):
        calls, wait_s = take(calls, 500, 10.0)
        assert not wait_s
    assert take(calls, 500, 10.0)[1] == 60.1
    assert take(calls, 500, 69.999)[1] == 0.101
    assert take(Calls(), 0, 10.0) == (Calls(), 0.0)


def test_a_lower_limit_waits_until_enough_calls_have_left() -> None:
    calls = Calls()
    for second in range(5):
        calls, _ = take(calls, 5, float(second))
    assert take(calls, 2, 5.0)[1] == 58.1
    assert take(calls, 2, 63.1)[1] == 0


@given(st.lists(st.integers(0, 200), min_size=1, max_size=2000))
def test_what_is_remembered_is_bounded_whatever_the_limit(gaps_ms: list[int]) -> None:
    calls, now_ms = Calls(), 0
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        calls, _ = take(calls, 10**6, now_ms / 1000)
        assert len(calls.ended) <= WINDOW + 1
        assert calls.count == sum(count for _, count in calls.ended)
