"""A stored explanation says everything the choice was made of."""

import json

import pytest
from hypothesis import given

from helios.domain.routing.choice import RoutingInput, choose
from helios.domain.routing.explanation import explain
from helios.domain.routing.learning import Learned
from tests.domain.prices import CATALOGUE, LADDER
from tests.domain.routing.wishes import LESSONS, WISHES


@given(WISHES, LESSONS)
def test_an_explanation_survives_being_stored(wanted: RoutingInput, learned: Learned) -> None:
    told = explain(choose(wanted, CATALOGUE, learned), wanted.task_type)
    assert json.loads(json.dumps(told, allow_nan=False)) == told


@given(WISHES, LESSONS)
def test_its_points_add_up_to_its_score(wanted: RoutingInput, learned: Learned) -> None:
    told = explain(choose(wanted, CATALOGUE, learned), wanted.task_type)
    assert sum(factor["points"] for factor in told["factors"]) == pytest.approx(
        told["score"], abs=0.003
    )
    for factor in told["factors"]:
        assert factor["points"] == pytest.approx(factor["value"] * factor["weight"], abs=0.001)
        assert factor["because"]


@given(WISHES, LESSONS)
def test_it_names_the_choice_and_every_alternative_with_its_cost(
    wanted: RoutingInput, learned: Learned
) -> None:
    choice = choose(wanted, CATALOGUE, learned)
    told = explain(choice, wanted.task_type)
    assert (told["model"], told["tier"], told["reason"]) == (
        choice.model,
        choice.tier,
        choice.reason,
    )
    assert told["task_type"] == wanted.task_type
    assert [(other["model"], other["tier"]) for other in told["alternatives"]] == [
        (model.name, model.tier) for model in LADDER
    ]
    for other, model in zip(told["alternatives"], LADDER, strict=True):
        assert round(other["cost_usd"] * 1_000_000) == model.cost_microusd(wanted.expected)
        assert 0 <= other["success"] <= 1


@given(WISHES, LESSONS)
def test_the_reason_begins_with_the_model_that_was_chosen(
    wanted: RoutingInput, learned: Learned
) -> None:
    choice = choose(wanted, CATALOGUE, learned)
    assert choice.reason.startswith(f"{choice.model}: ")
