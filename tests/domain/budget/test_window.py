"""A moment counts in exactly one span, and no clock brings a span back."""

import calendar
import math
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.budget.window import (
    NEVER,
    Anchored,
    Calendar,
    Forever,
    OpensOnUse,
    Window,
    WindowRule,
    window_at,
)

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
ZONES = ["UTC", "Asia/Seoul", "America/New_York", "America/Sao_Paulo", "Asia/Kathmandu"]
MOMENTS = st.integers(0, 16_000_000_000).map(lambda quarters: quarters / 4)
LENGTHS = st.integers(1, 1_000_000).map(float)
CALENDARS = st.builds(Calendar, st.sampled_from(["day", "month"]), st.sampled_from(ZONES))
FIXED = st.builds(Anchored, LENGTHS, st.integers(-(10**9), 4 * 10**9).map(float)) | CALENDARS
RULES = FIXED | st.builds(OpensOnUse, LENGTHS) | st.just(Forever())


def windows(rule: WindowRule, moments: list[float]) -> list[Window]:
    """The window of each use, as a ledger that remembers the newest one finds it."""
    found: list[Window] = []
    for now in moments:
        found.append(window_at(rule, found[-1] if found else None, now))
    return found


def utc(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]


@given(RULES, st.lists(MOMENTS, min_size=1))
def test_every_use_counts_in_a_window_that_is_open_then(
    rule: WindowRule, moments: list[float]
) -> None:
    moments.sort()
    for now, window in zip(moments, windows(rule, moments), strict=True):
        assert window.covers(now)


@given(RULES, st.lists(MOMENTS, min_size=1))
def test_windows_never_overlap_and_no_use_counts_twice(
    rule: WindowRule, moments: list[float]
) -> None:
    moments.sort()
    found = list(dict.fromkeys(windows(rule, moments)))
    for before, after in pairwise(found):
        assert before.opened_at < before.closes_at <= after.opened_at
    for now in moments:
        assert sum(window.covers(now) for window in found) == 1


@given(RULES, st.lists(MOMENTS, min_size=1))
def test_a_clock_going_back_opens_nothing(rule: WindowRule, moments: list[float]) -> None:
    found = windows(rule, moments)
    for (before, after), now in zip(pairwise(found), moments[1:], strict=True):
        assert (after == before) == (now < before.closes_at)
    assert window_at(rule, found[-1], min(moments) - 1) == found[-1]


@given(FIXED, MOMENTS, st.floats(0, 1, exclude_max=True))
def test_fixed_windows_do_not_depend_on_when_they_are_first_used(
    rule: WindowRule, now: float, share: float
) -> None:
    window = window_at(rule, None, now)
    length = window.closes_at - window.opened_at
    within = window.opened_at + math.floor(length * share)
    assert window.covers(window.opened_at)
    assert not window.covers(window.closes_at)
    assert window_at(rule, None, window.opened_at) == window
    assert window_at(rule, None, within) == window
    assert window_at(rule, None, window.closes_at).opened_at == window.closes_at


@given(LENGTHS, MOMENTS, MOMENTS)
def test_a_window_that_opens_on_use_waits_for_the_use(
    length: float, first: float, idle: float
) -> None:
    rule = OpensOnUse(length)
    window = window_at(rule, None, first)
    assert window == Window(first, first + length)
    assert window_at(rule, window, window.closes_at - 0.25) == window
    later = window.closes_at + idle
    assert window_at(rule, window, later) == Window(later, later + length)


@given(st.floats(0.01, 1e7), st.floats(-1e9, 4e9), st.floats(0, 4e9))
def test_an_anchored_window_covers_its_use_at_any_length(
    length: float, anchor: float, now: float
) -> None:
    window = window_at(Anchored(length, anchor), None, now)
    assert window.covers(now)
    assert window.closes_at - window.opened_at == pytest.approx(length, abs=1e-5)


@given(LENGTHS, MOMENTS, MOMENTS)
def test_anchored_windows_open_whole_lengths_from_their_anchor(
    length: float, anchor: float, now: float
) -> None:
    window = window_at(Anchored(length, anchor), None, now)
    assert (window.opened_at - anchor) % length == 0
    assert window.closes_at == window.opened_at + length


def test_forever_is_one_window() -> None:
    window = window_at(Forever(), None, 7.0)
    assert window == Window(7.0, NEVER)
    assert window_at(Forever(), window, 1e300) == window


@given(MOMENTS)
def test_a_day_in_utc_is_the_date(now: float) -> None:
    window = window_at(Calendar("day"), None, now)
    assert window.opened_at == now - now % DAY_S
    assert window.closes_at == window.opened_at + DAY_S


@given(st.integers(1970, 2100), st.integers(1, 12), st.floats(0, 1, exclude_max=True))
def test_a_month_in_utc_is_as_long_as_the_calendar_says(
    year: int, month: int, share: float
) -> None:
    days = calendar.monthrange(year, month)[1]
    opened = utc(year, month, 1)
    now = opened + math.floor(days * DAY_S * share)
    assert window_at(Calendar("month"), None, now) == Window(opened, opened + days * DAY_S)


@pytest.mark.parametrize(("year", "days"), [(2000, 29), (2023, 28), (2024, 29), (2100, 28)])
def test_february_has_its_leap_day_and_only_then(year: int, days: int) -> None:
    window = window_at(Calendar("month"), None, utc(year, 2, 28, 12))
    assert window == Window(utc(year, 2, 1), utc(year, 3, 1))
    assert window.closes_at - window.opened_at == days * DAY_S


@pytest.mark.parametrize(
    ("zone", "noon", "hours"),
    [
        ("America/New_York", utc(2026, 3, 8, 17), 23),
        ("America/New_York", utc(2026, 11, 1, 17), 25),
        ("America/Sao_Paulo", utc(2018, 11, 4, 15), 23),
        ("Asia/Seoul", utc(2026, 3, 8, 3), 24),
    ],
)
def test_a_day_with_a_change_of_clocks_is_shorter_or_longer(
    zone: str, noon: float, hours: int
) -> None:
    window = window_at(Calendar("day", zone), None, noon)
    assert window.closes_at - window.opened_at == hours * HOUR_S


def test_a_day_in_seoul_begins_at_three_in_the_afternoon_of_utc() -> None:
    window = window_at(Calendar("day", "Asia/Seoul"), None, utc(2026, 11, 20, 15))
    opened = datetime.fromtimestamp(window.opened_at, ZoneInfo("Asia/Seoul"))
    assert opened.isoformat() == "2026-11-21T00:00:00+09:00"
