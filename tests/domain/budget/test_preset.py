"""A plan becomes its ceilings, and a simulated one shares none of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.budget.limit import Limit
from helios.domain.budget.preset import (
    STRONG_TIERS,
    Plan,
    PlanWindow,
    plan_limits,
    simulated_plan,
)
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Anchored, Calendar, OpensOnUse
from helios.domain.budget.zones import Thresholds
from helios.domain.pricing import Tier

RULES = st.sampled_from([OpensOnUse(18_000.0), Anchored(604_800.0), Calendar("month")])
WINDOWS = st.builds(
    PlanWindow,
    st.sampled_from(["five-hour", "weekly", "주간"]),
    RULES,
    st.sampled_from(Unit),
    st.integers(1, 10**9),
    st.none() | st.integers(0, 100).map(lambda percent: percent / 100),
)
PLANS = st.builds(
    Plan,
    st.text(max_size=12),
    st.just("a plan"),
    st.lists(WINDOWS, max_size=3, unique_by=lambda window: window.name).map(tuple),
    st.builds(Thresholds, st.floats(0, 1)),
)


def by_window(plan: Plan) -> list[tuple[PlanWindow, list[Limit]]]:
    limits = plan_limits(plan)
    return [(w, [x for x in limits if x.window_key.endswith(f"/{w.name}")]) for w in plan.windows]


@given(PLANS)
def test_each_window_is_one_ceiling_and_a_share_of_it_a_second(plan: Plan) -> None:
    assert sum(len(limits) for _, limits in by_window(plan)) == len(plan_limits(plan))
    for window, limits in by_window(plan):
        assert len(limits) == (1 if window.strong_share is None else 2)
        whole = limits[0]
        assert (whole.cap, whole.tiers, whole.zoned) == (window.cap, frozenset(), True)
        assert whole.thresholds == plan.thresholds
        for limit in limits:
            assert (limit.unit, limit.window) == (window.unit, window.rule)
            assert limit.window_key == whole.window_key


@pytest.mark.parametrize("cap", [1, 20, 100, 900, 3_000, 10**9])
def test_the_strong_share_is_exact_and_binds_the_strong_models_only(cap: int) -> None:
    for percent in range(101):
        window = PlanWindow("w", OpensOnUse(9.0), Unit.MESSAGES, cap, percent / 100)
        _, share = plan_limits(Plan("p", "", (window,), Thresholds()))
        assert share.cap == cap * percent // 100
        assert share.tiers == STRONG_TIERS == {Tier.STRONG, Tier.FRONTIER}
        assert not share.zoned


@given(PLANS)
def test_no_two_ceilings_share_a_key(plan: Plan) -> None:
    keys = [limit.key for limit in plan_limits(plan)]
    assert len(set(keys)) == len(keys)


@given(PLANS)
def test_a_simulated_plan_is_the_same_but_shares_no_window_with_the_real_one(plan: Plan) -> None:
    real, simulated = plan_limits(plan), plan_limits(simulated_plan(plan))
    for key in ("key", "window_key"):
        assert not {getattr(x, key) for x in real} & {getattr(x, key) for x in simulated}
    assert [replace(x, key="", window_key="") for x in real] == [
        replace(x, key="", window_key="") for x in simulated
    ]
