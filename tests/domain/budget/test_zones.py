"""As a window fills, less may pass, never more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.budget.zones import (
    Health,
    Thresholds,
    Zone,
    ZoneDecision,
    health_of,
    may_pass,
    zone_of,
)
from helios.domain.pricing import Tier
from tests.domain.prices import TIERS

ZONES, LIGHTS = list(Zone), list(Health)
CLASSIC = Thresholds()
SHARES = st.floats(0, 1.5)
PRIORITIES = st.integers(1, 10)
THRESHOLDS = st.builds(
    Thresholds, SHARES, SHARES, critical_priority=PRIORITIES, yellow=SHARES, red=SHARES
)


def passes(used: float, priority: int, tier: Tier, thresholds: Thresholds = CLASSIC) -> bool:
    return may_pass(used, priority=priority, tier=tier, thresholds=thresholds).allowed


@given(SHARES, SHARES, THRESHOLDS)
def test_a_fuller_window_is_never_in_a_laxer_zone(
    used: float, more: float, thresholds: Thresholds
) -> None:
    fuller = used + more
    assert ZONES.index(zone_of(used, thresholds)) <= ZONES.index(zone_of(fuller, thresholds))
    assert LIGHTS.index(health_of(used, thresholds)) <= LIGHTS.index(health_of(fuller, thresholds))


@given(SHARES, SHARES, PRIORITIES, TIERS, THRESHOLDS)
def test_what_passes_a_fuller_window_passes_an_emptier_one(
    used: float, more: float, priority: int, tier: Tier, thresholds: Thresholds
) -> None:
    if passes(used + more, priority, tier, thresholds):
        assert passes(used, priority, tier, thresholds)


@given(SHARES, PRIORITIES, PRIORITIES, TIERS, TIERS, THRESHOLDS)
def test_more_urgent_and_cheaper_requests_pass_wherever_others_do(
    used: float, priority: int, more: int, tier: Tier, other: Tier, thresholds: Thresholds
) -> None:
    if passes(used, priority, max(tier, other, key=lambda t: t.rank), thresholds):
        assert passes(used, max(priority, more), min(tier, other, key=lambda t: t.rank), thresholds)


@given(SHARES, TIERS, THRESHOLDS, PRIORITIES)
def test_the_urgent_are_never_throttled(
    used: float, tier: Tier, thresholds: Thresholds, more: int
) -> None:
    assert passes(used, thresholds.critical_priority + more - 1, tier, thresholds)


@given(SHARES, PRIORITIES, TIERS)
def test_the_end_of_a_window_is_kept_for_the_urgent(used: float, priority: int, tier: Tier) -> None:
    if used > 0.95 and passes(used, priority, tier):
        assert priority >= 8


@given(SHARES, PRIORITIES, TIERS, THRESHOLDS)
def test_a_decision_tells_its_zone_and_how_full_the_window_is(
    used: float, priority: int, tier: Tier, thresholds: Thresholds
) -> None:
    decision = may_pass(used, priority=priority, tier=tier, thresholds=thresholds)
    assert decision.zone is zone_of(used, thresholds)
    assert decision.reason.startswith(f"{used:.0%} used")
    if zone_of(used, thresholds) is Zone.NORMAL:
        assert decision.allowed


@pytest.mark.parametrize(
    ("used", "zone"),
    [(0.0, "normal"), (0.799, "normal"), (0.8, "throttle"), (0.95, "throttle"), (0.96, "critical")],
)
def test_zones_begin_where_they_are_said_to(used: float, zone: str) -> None:
    assert zone_of(used, CLASSIC) == zone


@pytest.mark.parametrize("cap", [20, 40, 100, 900, 20_000_000])
def test_zones_begin_there_for_whole_amounts_too(cap: int) -> None:
    throttle, critical = cap * 80 // 100, cap * 95 // 100
    assert zone_of((throttle - 1) / cap, CLASSIC) is Zone.NORMAL
    assert zone_of(throttle / cap, CLASSIC) is Zone.THROTTLE
    assert zone_of(critical / cap, CLASSIC) is Zone.THROTTLE
    assert zone_of((critical + 1) / cap, CLASSIC) is Zone.CRITICAL


@pytest.mark.parametrize(
    ("used", "health"),
    [(0.0, "green"), (0.599, "green"), (0.6, "yellow"), (0.8, "yellow"), (0.801, "red")],
)
def test_the_light_changes_where_it_is_said_to(used: float, health: str) -> None:
    assert health_of(used, CLASSIC) == health


@pytest.mark.parametrize(
    ("used", "priority", "tier", "allowed"),
    [
        (0.8, 7, Tier.STANDARD, True),
        (0.8, 7, Tier.STRONG, False),
        (0.8, 7, Tier.FRONTIER, False),
        (0.8, 8, Tier.FRONTIER, True),
        (0.96, 7, Tier.ECONOMY, False),
        (0.96, 8, Tier.ECONOMY, True),
    ],
)
def test_strong_models_wait_first_and_then_everything_that_is_not_urgent(
    used: float, priority: int, tier: Tier, allowed: bool
) -> None:
    assert passes(used, priority, tier) == allowed


def test_a_refusal_says_what_would_pass() -> None:
    refused: ZoneDecision = may_pass(0.96, priority=5, tier=Tier.ECONOMY, thresholds=CLASSIC)
    assert refused.reason == "96% used: only priority 8 and higher, this has 5"
