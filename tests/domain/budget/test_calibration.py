"""Learning what a window holds, against a provider whose truth is known."""

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.budget.calibration import (
    Calibration,
    Capacity,
    Gauge,
    calibrate,
    corrected_cap,
    in_overage,
)
from helios.domain.budget.crossings import Reading
from helios.domain.budget.signal import Signal
from helios.domain.budget.units import Unit
from tests.domain.budget.window_world import LENGTH, START, Moment, World, live

pytestmark = pytest.mark.slow

SEEDS = range(30)
CHANGED = range(8)


@cache
def story(world: World) -> tuple[Moment, ...]:
    return tuple(live(world))


def learn(moments: tuple[Moment, ...] | list[Moment]) -> Calibration:
    return calibrate([m.reading for m in moments], Unit.MICROUSD)


def reading(used: float, spent: int, at: float = 60, **more) -> Reading:
    signal = Signal("five_hour", used, START + at, more.pop("source", "headers"), **more)
    return Reading(replace(signal, resets_at=signal.resets_at or START + LENGTH), spent)


@cache
def stable() -> list[tuple[Calibration, Moment]]:
    """Halfway and at the end of every seed's second window."""
    return [
        (learn(moments[:end]), moments[end - 1])
        for seed in SEEDS
        for moments in [story(World(seed, call=0.004, outside=0.4))]
        for end in (len(moments) // 2, len(moments))
    ]


def test_the_true_capacity_lies_within_the_bars() -> None:
    capacities = [c.capacity for c, _ in stable()]
    inside = [c for c in capacities if c and c.low <= 40_000_000 <= c.high]
    assert len(inside) >= 0.9 * len(capacities)
    assert all(c and c.low <= 40_000_000 for c in capacities)
    widths = sorted((c.high - c.low) / 40_000_000 for c in inside)
    assert widths[len(widths) // 2] < 0.25


def test_use_outside_helios_lies_within_its_bars() -> None:
    inside = [c for c, m in stable() if c.outside and c.outside.low <= m.outside <= c.outside.high]
    assert len(inside) >= 0.9 * len(stable())


@pytest.mark.parametrize("call", [0.004, 0.03])
def test_the_safe_room_is_never_more_than_the_true_room(call: float) -> None:
    for seed in range(8):
        moments = story(World(seed, call=call, outside=1.0))
        for end in range(1, len(moments), max(1, len(moments) // 18)):
            last = moments[end - 1]
            room = learn(moments[:end]).room(spent=last.reading.spent, now=last.reading.signal.at)
            assert room is not None
            assert room.safe <= max(0.0, last.room)
            assert room.safe <= room.likely


def test_without_a_change_there_is_no_alarm() -> None:
    for seed in range(12):
        assert learn(story(World(seed, call=0.004, windows=3, outside=0.4))).drift is None


@pytest.mark.parametrize("change", [0.8, 1.2])
def test_a_change_of_a_fifth_is_announced_within_a_window_and_a_half_of_use(change: float) -> None:
    for seed in CHANGED:
        moments = story(
            World(seed, call=0.004, windows=5, outside=0.3, change=change, change_at=1.2)
        )
        began = next(m for m in moments if m.moved >= 1.2).reading.signal.at
        before = [m for m in moments if m.moved < 1.2]
        assert learn(before).drift is None
        seen = [m for m in moments if m.moved < 1.2 + 1.5]
        learned = learn(seen)
        assert learned.drift is not None
        assert abs(learned.drift.since - began) < 2 * LENGTH
        moved = learned.drift.after.likely / learned.drift.before.likely
        assert abs(moved - change) < 0.15
        assert learned.capacity is not None
        assert learned.capacity.low <= 40_000_000 * change <= learned.capacity.high
        assert f"{moved - 1:+.0%} against" in learned.drift.sentence(Unit.MICROUSD)


def test_steps_of_the_gauge_alone_are_no_drift() -> None:
    """Each whole percent arrives just before or just after it was due."""
    early_and_late = [
        reading(level / 100, 10_000 * level + (9_999 if level % 2 else 0), level)
        for level in range(1, 100)
    ]
    learned = calibrate(early_and_late, Unit.TOKENS)
    assert learned.drift is None
    assert learned.capacity is not None
    assert learned.capacity.low <= 1_000_000 <= learned.capacity.high


def test_helios_stays_inside_the_window_when_it_spends_to_the_corrected_cap() -> None:
    taught = [m.reading for m in story(World(3, call=0.004, windows=1, outside=0.0))]
    opened, true_whole, outside, spent = START + 2 * LENGTH, 40_000_000, 9_000_000, 0
    now = opened
    while now < opened + LENGTH:
        now += 20
        used = int((spent + outside) / true_whole * 100) / 100
        signal = Signal("five_hour", used, now, "headers", opened + LENGTH)
        taught.append(Reading(signal, spent))
        cap = corrected_cap(
            90_000_000, calibrate(taught[-200:], Unit.MICROUSD), spent=spent, now=now
        ).cap
        if cap - spent < 50_000:
            break
        spent += min(cap - spent, 400_000)
        assert spent + outside <= true_whole
    assert spent + outside >= 0.95 * true_whole


def test_a_gauge_that_stands_still_while_helios_spends_proves_a_large_window() -> None:
    standing = [reading(0.37, 1_000), *(reading(0.37, n * 1_000, 60 + n) for n in range(2, 200))]
    learned = calibrate(standing, Unit.TOKENS)
    assert learned.capacity is not None
    assert learned.capacity.low == pytest.approx(198_000 / 0.01)
    assert not learned.capacity.conclusive


def test_a_repeated_status_line_changes_nothing() -> None:
    rising = [reading(n / 100, n * 100, n) for n in range(1, 30)]
    idle = [reading(0.05, min(n, 29) * 100, n + 0.5, source="statusline") for n in range(10, 40)]
    closed = [reading(0.99, 2_900, LENGTH + 5, source="statusline")]
    assert calibrate(rising + idle + closed, Unit.TOKENS) == calibrate(rising, Unit.TOKENS)


def test_a_lower_gauge_is_believed_when_the_provider_insists() -> None:
    rising = [reading(n / 100, n * 100, n) for n in range(1, 60)]
    emptied = [reading(0.02, 6_000, 100), reading(0.02, 6_010, 101)]
    assert calibrate(rising + emptied, Unit.TOKENS).gauge == Gauge(
        0.59, START + 59, 5_900, START + LENGTH
    )
    insisted = calibrate([*rising, *emptied, reading(0.02, 6_020, 102)], Unit.TOKENS)
    assert insisted.gauge == Gauge(0.02, START + 102, 6_020, START + LENGTH)


def test_nothing_is_known_without_signals_or_reset_times() -> None:
    empty = calibrate([], Unit.TOKENS)
    assert empty == Calibration(Unit.TOKENS)
    lost = Reading(Signal("five_hour", 0.5, START, "cli"), 10)
    assert calibrate([lost], Unit.TOKENS) == empty
    assert empty.room(spent=0, now=START) is None
    assert corrected_cap(900, empty, spent=10, now=START).cap == 900


def test_what_helios_spent_since_the_figure_is_gone_from_the_room() -> None:
    learned = known(1_000, 0.5, 400, conclusive=True)
    fresh = learned.room(spent=400, now=START + 1)
    later = learned.room(spent=450, now=START + 1)
    assert fresh
    assert later
    assert (fresh.safe, fresh.likely) == (490, 495)
    assert (later.safe, later.likely) == (440, 445)
    assert learned.room(spent=400, now=START + LENGTH) is None


def test_use_without_helios_is_all_outside() -> None:
    outside = calibrate([reading(0.37, 0)], Unit.TOKENS).outside
    assert outside is not None
    assert (outside.low, outside.high) == (0.37, 0.38)


def test_overage_is_what_the_newest_answer_says() -> None:
    paid = Signal("five_hour", 1.0, START, "headers", START + 9, "rejected", overage=True)
    blind = Signal("five_hour", 1.0, START + 5, "statusline", START + 9)
    over = replace(paid, at=START + 6, overage=False, used=0.1)
    assert in_overage([paid])
    assert in_overage([paid, blind])
    assert not in_overage([paid, over])
    assert in_overage([replace(blind, used=1.02)])
    assert not in_overage([])


def test_plan_only_refuses_paid_overage() -> None:
    full = calibrate([reading(1.0, 700, overage=True)], Unit.TOKENS)
    assert full.overage
    refused = corrected_cap(900, full, spent=700, now=START + 61)
    assert (refused.cap, "plan-only" in refused.reason) == (700, True)
    assert corrected_cap(900, full, spent=700, now=START + 61, plan_only=False).cap == 900
    turned = corrected_cap(900, full, spent=0, now=START + LENGTH)
    assert (turned.cap, turned.reason) == (
        900,
        "no figure of the open window yet; what the window holds is not learned yet and taken as "
        "set",
    )


whole = st.integers(1, 10**9)
amount = st.integers(0, 10**9)
level = st.integers(0, 130).map(lambda percent: percent / 100)


def known(capacity: int, used: float, spent: int, *, conclusive: bool) -> Calibration:
    high = capacity * 1.1 if conclusive else float("inf")
    return Calibration(
        Unit.TOKENS,
        Capacity(capacity, capacity, high),
        capacity,
        Gauge(used, START, spent, START + LENGTH),
        measured=conclusive,
    )


@given(whole, whole, whole, level, level, amount, amount, st.booleans())
def test_the_corrected_cap_is_monotone_and_never_above_the_limit(
    cap: int, one: int, other: int, used: float, more: float, spent: int, now_spent: int, sure: bool
) -> None:
    small, large = sorted((one, other))
    empty, full = sorted((used, more))

    def corrected(limit: int, capacity: int, gauge: float) -> int:
        learned = known(capacity, gauge, spent, conclusive=sure)
        return corrected_cap(limit, learned, spent=now_spent, now=START + 1).cap

    assert min(now_spent, cap) <= corrected(cap, large, empty) <= cap
    assert corrected(cap, small, empty) <= corrected(cap, large, empty)
    assert corrected(cap, large, full) <= corrected(cap, large, empty)
    assert corrected(min(cap, small), large, empty) <= corrected(cap, large, empty)


def test_the_corrected_cap_explains_itself() -> None:
    cap = corrected_cap(
        900_000, known(500_000, 0.4, 100_000, conclusive=True), spent=120_000, now=START + 1
    )
    assert cap.cap == 100_000 + 295_000
    assert cap.reason == (
        "the provider shows 40% when Helios had spent 100k tokens; "
        "the window holds at least 500k tokens, so 295k tokens were left"
    )
