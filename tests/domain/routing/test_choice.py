"""The classic choice: bounded by pins and roles, and moved only the way its factors say."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.budget.zones import Zone
from helios.domain.pricing import Catalogue, Tier
from helios.domain.routing.choice import WEIGHTS, RouteChoice, RoutingInput, choose
from helios.domain.routing.learning import Learned, learn
from helios.errors import UnknownPrice
from tests.domain.prices import CATALOGUE, LADDER
from tests.domain.routing.wishes import LESSONS, PINS, SHARES, WISHES, looks, wish

ZONES = list(Zone)
RUNGS = st.sets(st.sampled_from(LADDER), min_size=1).map(
    lambda models: Catalogue({model.name: model for model in models})
)


def chosen(wanted: RoutingInput, learned: Learned | None = None) -> RouteChoice:
    return choose(wanted, CATALOGUE, learned or Learned())


def test_the_weights_are_a_whole() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)


@given(WISHES, LESSONS)
def test_the_factors_add_up_to_the_score_and_each_keeps_its_bounds(
    wanted: RoutingInput, learned: Learned
) -> None:
    choice = chosen(wanted, learned)
    assert {factor.name: factor.weight for factor in choice.factors} == dict(WEIGHTS)
    assert all(0 <= factor.value <= 10 for factor in choice.factors)
    assert choice.score == pytest.approx(sum(f.value * f.weight for f in choice.factors))
    assert 0.5 <= choice.confidence <= 1


@given(WISHES, LESSONS, RUNGS)
def test_the_same_wish_gets_the_same_choice_in_any_order_of_models(
    wanted: RoutingInput, learned: Learned, catalogue: Catalogue
) -> None:
    backwards = Catalogue(dict(reversed(list(catalogue.models.items()))))
    assert choose(wanted, catalogue, learned) == choose(wanted, backwards, learned)


@given(WISHES, LESSONS, RUNGS)
def test_the_role_gets_its_minimum_wherever_a_model_has_it(
    wanted: RoutingInput, learned: Learned, catalogue: Catalogue
) -> None:
    strongest = catalogue.ladder()[-1].tier.rank
    choice = choose(wanted, catalogue, learned)
    assert choice.tier.rank >= min(wanted.minimum_tier.rank, strongest)
    assert choice.model in catalogue.models


def test_a_minimum_that_decides_is_the_reason() -> None:
    asked = replace(wish(2.0), minimum_tier=Tier.FRONTIER)
    assert chosen(asked).reason == "frontier-1: the role asks for frontier or better"


@given(WISHES, LESSONS, PINS)
def test_a_pin_is_kept_whatever_else_is_said(
    wanted: RoutingInput, learned: Learned, pin: str
) -> None:
    choice = chosen(replace(wanted, pinned=pin), learned)
    assert pin in (choice.model, choice.tier)
    assert choice.confidence == 1


@given(WISHES, LESSONS)
def test_a_pin_that_has_no_price_is_no_choice(wanted: RoutingInput, learned: Learned) -> None:
    with pytest.raises(UnknownPrice):
        chosen(replace(wanted, pinned="unpriced"), learned)
    cheap = Catalogue({LADDER[0].name: LADDER[0]})
    with pytest.raises(UnknownPrice):
        choose(replace(wanted, pinned="frontier"), cheap, learned)


@given(WISHES, LESSONS, RUNGS)
def test_escalation_climbs_a_rung_at_a_time_to_the_top_and_never_down(
    wanted: RoutingInput, learned: Learned, catalogue: Catalogue
) -> None:
    ranks = [model.tier.rank for model in catalogue.ladder()]
    climbed = [
        choose(replace(wanted, escalate=steps), catalogue, learned).tier.rank
        for steps in range(len(ranks) + 2)
    ]
    above = ranks[ranks.index(climbed[0]) :]
    assert climbed == [above[min(steps, len(above) - 1)] for steps in range(len(climbed))]


@given(WISHES, LESSONS, SHARES, st.sampled_from(Zone), SHARES)
def test_a_fuller_window_never_gets_a_dearer_model(
    wanted: RoutingInput, learned: Learned, more: float, zone: Zone, more_strong: float
) -> None:
    fuller = replace(
        wanted,
        used=wanted.used + more,
        zone=max(wanted.zone, zone, key=ZONES.index),
        strong_share_used=wanted.strong_share_used + more_strong,
    )
    assert chosen(fuller, learned).tier.rank <= chosen(wanted, learned).tier.rank


@given(WISHES, LESSONS, st.floats(1, 10), st.integers(1, 10))
def test_harder_and_more_urgent_work_never_gets_a_weaker_model(
    wanted: RoutingInput, learned: Learned, score: float, priority: int
) -> None:
    more = replace(
        wanted,
        complexity=looks(max(wanted.complexity.score, score)),
        priority=max(wanted.priority, priority),
    )
    assert chosen(more, learned).tier.rank >= chosen(wanted, learned).tier.rank


@given(WISHES, st.integers(0, 60), st.integers(1, 60))
def test_more_successes_of_the_strong_model_never_speak_against_it(
    wanted: RoutingInput, before: int, more: int
) -> None:
    def performance(successes: int) -> float:
        of_standard = [(wanted.task_type, "standard-1", False)] * 5
        of_strong = [(wanted.task_type, "strong-1", True)] * successes
        return chosen(wanted, learn([*of_standard, *of_strong])).factors[2].value

    assert 5 <= performance(before) <= performance(before + more)


@given(WISHES, LESSONS)
def test_a_little_evidence_counts_for_little(wanted: RoutingInput, learned: Learned) -> None:
    performance = chosen(wanted, learned).factors[2].value
    seen = sum(learned.count(wanted.task_type, name) for name in ("strong-1", "standard-1"))
    assert abs(performance - 5) <= 10 * seen / (seen + 10) + 1e-9


@given(WISHES, LESSONS)
def test_no_strong_model_while_the_windows_throttle_unless_the_role_asks(
    wanted: RoutingInput, learned: Learned
) -> None:
    choice = chosen(replace(wanted, escalate=0), learned)
    scarce = wanted.zone is not Zone.NORMAL or wanted.strong_share_used >= 0.8
    if scarce and wanted.minimum_tier.rank < Tier.STRONG.rank:
        assert choice.tier.rank < Tier.STRONG.rank
    if "downgraded" in choice.reason:
        assert scarce
        assert wanted.minimum_tier.rank < Tier.STRONG.rank


@given(WISHES, LESSONS, RUNGS)
def test_the_alternatives_are_the_ladder_with_its_costs(
    wanted: RoutingInput, learned: Learned, catalogue: Catalogue
) -> None:
    told = choose(wanted, catalogue, learned).alternatives
    assert [(a.model, a.tier, a.cost_microusd, a.success) for a in told] == [
        (m.name, m.tier, m.cost_microusd(wanted.expected), learned.rate(wanted.task_type, m.name))
        for m in catalogue.ladder()
    ]


@pytest.mark.parametrize(
    ("wanted", "tier"),
    [
        (wish(5.0), "strong"),  # 6.5: on the line
        (wish(4.9), "standard"),  # between, coding leans cheap
        (wish(4.9, task_type="review"), "strong"),  # between, review leans strong
        (wish(2.5, used=0.5, priority=10, task_type="review"), "standard"),  # 4.5: on the line
        (wish(2.1, used=1.0), "standard"),
        (wish(2.0), "economy"),  # trivial
        (wish(2.0, task_type="review"), "strong"),  # trivial, but of a kind that is never
        (wish(10.0, priority=10), "strong"),
    ],
)
def test_the_cheapest_model_that_the_score_asks_for_is_taken(
    wanted: RoutingInput, tier: str
) -> None:
    assert chosen(wanted).tier == tier


@given(WISHES, LESSONS)
def test_only_a_role_a_pin_or_failures_reach_the_dearest_model(
    wanted: RoutingInput, learned: Learned
) -> None:
    if wanted.minimum_tier is not Tier.FRONTIER and not wanted.escalate:
        assert chosen(wanted, learned).tier is not Tier.FRONTIER


def test_without_models_there_is_no_choice() -> None:
    with pytest.raises(ValueError, match="no model"):
        choose(wish(5.0), Catalogue(), Learned())
