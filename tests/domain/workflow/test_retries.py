"""Retries are bounded, patient, and go up the ladder for the model's own faults only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.workflow.retries import (
    MODEL_FAULT,
    TRANSIENT,
    FailureKind,
    RetryPolicy,
    decide,
    escalation,
)

HOPELESS = frozenset(FailureKind) - TRANSIENT - MODEL_FAULT
POLICIES = st.builds(
    RetryPolicy,
    retries=st.integers(0, 10),
    first_delay_s=st.floats(0.01, 30),
    factor=st.floats(1, 4),
    longest_delay_s=st.floats(1, 600),
    jitter=st.floats(0, 1),
    escalate_after=st.integers(0, 4),
)
DRAWS = st.floats(0, 1, exclude_max=True)
KINDS = st.sampled_from(FailureKind)
CURABLE = st.sampled_from(sorted(TRANSIENT | MODEL_FAULT))
HISTORIES = st.lists(CURABLE, max_size=12).map(tuple)
WISHES = st.none() | st.floats(0, 1000)


def test_no_failure_is_two_things() -> None:
    assert not TRANSIENT & MODEL_FAULT
    assert {
        FailureKind.REFUSED,
        FailureKind.BUDGET,
        FailureKind.CONFLICT,
        FailureKind.REJECTED,
        FailureKind.CANCELLED,
        FailureKind.DEFECT,
    } == HOPELESS


@given(POLICIES, st.lists(KINDS, min_size=1, max_size=30), DRAWS)
def test_a_task_is_tried_again_at_most_retries_times(
    policy: RetryPolicy, kinds: list[FailureKind], draw: float
) -> None:
    decisions = [decide(policy, tuple(kinds[:n]), draw=draw) for n in range(1, len(kinds) + 1)]
    for count, (kind, decision) in enumerate(zip(kinds, decisions, strict=True), start=1):
        assert (decision is None) == (kind in HOPELESS or count > policy.retries)
    assert sum(decision is not None for decision in decisions) <= policy.retries


@given(POLICIES, HISTORIES, CURABLE, DRAWS, WISHES)
def test_the_providers_wish_is_never_undercut(
    policy: RetryPolicy,
    before: tuple[FailureKind, ...],
    last: FailureKind,
    draw: float,
    wish: float | None,
) -> None:
    decision = decide(policy, (*before, last), draw=draw, retry_after_s=wish)
    if decision:
        assert decision.delay_s >= (wish or 0.0)


@given(POLICIES, HISTORIES, st.sampled_from(sorted(TRANSIENT)), DRAWS)
def test_delays_grow_to_a_bound_and_spread_by_the_jitter(
    policy: RetryPolicy, before: tuple[FailureKind, ...], last: FailureKind, draw: float
) -> None:
    decision = decide(policy, (*before, last), draw=draw)
    if decision:
        again = sum(kind in TRANSIENT for kind in before)
        plain = min(policy.longest_delay_s, policy.first_delay_s * policy.factor**again)
        assert decision.delay_s >= plain * (1 - policy.jitter) * (1 - 1e-9)
        assert decision.delay_s <= plain * (1 + policy.jitter) * (1 + 1e-9)


@given(POLICIES, HISTORIES, st.sampled_from(sorted(MODEL_FAULT)), DRAWS)
def test_the_models_own_fault_is_told_it_at_once(
    policy: RetryPolicy, before: tuple[FailureKind, ...], last: FailureKind, draw: float
) -> None:
    decision = decide(policy, (*before, last), draw=draw)
    if decision:
        assert decision.delay_s == 0
        rises = decision.escalate > escalation(policy, before)
        assert ("stronger" in decision.reason) == rises
        assert f"attempt {len(before) + 1} failed ({last})" in decision.reason


@given(POLICIES, HISTORIES, st.lists(st.sampled_from(sorted(TRANSIENT)), max_size=5))
def test_the_worlds_faults_never_escalate(
    policy: RetryPolicy, history: tuple[FailureKind, ...], weather: list[FailureKind]
) -> None:
    assert escalation(policy, (*history, *weather)) == escalation(policy, history)


@given(POLICIES, HISTORIES)
def test_a_stronger_model_comes_after_every_few_faults(
    policy: RetryPolicy, history: tuple[FailureKind, ...]
) -> None:
    own = [kind for kind in history if kind in MODEL_FAULT]
    expected, since = 0, 0
    for _ in own:
        since += 1
        if since == policy.escalate_after:
            expected, since = expected + 1, 0
    assert escalation(policy, history) == expected


def test_by_default_the_second_gate_failure_goes_one_step_up() -> None:
    policy, gate = RetryPolicy(), FailureKind.GATE
    found = [decide(policy, (gate,) * count, draw=0.5) for count in (1, 2, 3, 4)]
    assert [decision.escalate if decision else None for decision in found] == [0, 1, 1, None]


@pytest.mark.parametrize(("count", "delay_s"), [(1, 1.0), (2, 2.0), (3, 4.0), (7, 60.0), (9, 60.0)])
def test_waiting_doubles_up_to_a_minute(count: int, delay_s: float) -> None:
    failures = (FailureKind.OVERLOAD,) * count
    decision = decide(RetryPolicy(retries=10), failures, draw=0.5)
    assert decision is not None
    assert decision.delay_s == pytest.approx(delay_s)
    assert f"again in {delay_s:.1f}s" in decision.reason


def test_even_a_model_fault_waits_when_the_provider_asks() -> None:
    decision = decide(RetryPolicy(), (FailureKind.BAD_OUTPUT,), draw=0.0, retry_after_s=30.0)
    assert decision is not None
    assert decision.delay_s == 30.0
