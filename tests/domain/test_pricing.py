"""Costs are whole, exact and never less for more; what has no price is not for sale."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.pricing import Catalogue, Model, Tier
from helios.domain.usage import Usage
from helios.errors import BudgetError, UnknownPrice
from tests.domain.prices import CATALOGUE, LADDER, MILLS, MODELS, PLAIN_MODELS, TIERS, USAGES

MAPPINGS = st.dictionaries(TIERS, st.sampled_from([model.name for model in LADDER]))
CATALOGUES = st.lists(PLAIN_MODELS, max_size=6).map(
    lambda models: Catalogue(
        {f"{n}": replace(model, name=f"{n}") for n, model in enumerate(models)}
    )
)


def exact_mills(model: Model, usage: Usage) -> int:
    """The cost in thousandths of a micro-dollar, in whole numbers."""
    price, above = model.price, model.long_prompt_tokens
    if model.long_prompt and above is not None and usage.prompt_tokens > above:
        price = model.long_prompt
    return (
        usage.input_tokens * round(price.input * MILLS)
        + usage.output_tokens * round(price.output * MILLS)
        + usage.cache_write_tokens * round(price.cache_write * MILLS)
        + usage.cache_read_tokens * round(price.cache_read * MILLS)
    )


@given(MODELS, USAGES)
def test_a_cost_is_the_exact_one_rounded_up_to_the_micro_dollar(model: Model, usage: Usage) -> None:
    cost = model.cost_microusd(usage)
    assert isinstance(cost, int)
    assert cost == -(-exact_mills(model, usage) // MILLS)


@given(PLAIN_MODELS, st.integers(0, 9999), st.integers(0, 9999))
def test_a_cost_that_is_whole_is_not_rounded(model: Model, read: int, written: int) -> None:
    usage = Usage(read, written)
    thousandfold = Usage(MILLS * read, MILLS * written)
    assert model.cost_microusd(thousandfold) == exact_mills(model, usage)


def test_a_long_prompt_begins_above_its_threshold() -> None:
    model = replace(LADDER[0], long_prompt_tokens=100, long_prompt=LADDER[1].price)
    assert model.cost_microusd(Usage(60, 0, 20, 20)) == LADDER[0].cost_microusd(
        Usage(60, 0, 20, 20)
    )
    assert model.cost_microusd(Usage(60, 0, 20, 21)) == LADDER[1].cost_microusd(
        Usage(60, 0, 20, 21)
    )


@given(PLAIN_MODELS, USAGES, USAGES)
def test_costs_add_up_but_for_the_rounding(model: Model, one: Usage, other: Usage) -> None:
    apart = model.cost_microusd(one) + model.cost_microusd(other)
    together = model.cost_microusd(one + other)
    assert together <= apart <= together + 1


@given(PLAIN_MODELS, USAGES, USAGES)
def test_more_usage_never_costs_less(model: Model, usage: Usage, more: Usage) -> None:
    assert model.cost_microusd(usage + more) >= model.cost_microusd(usage)
    assert model.cost_microusd(Usage()) == 0


@given(MODELS)
def test_the_slightest_paid_use_costs_something(model: Model) -> None:
    paid = exact_mills(model, Usage(output_tokens=1)) > 0
    assert (model.cost_microusd(Usage(output_tokens=1)) > 0) == paid


@given(st.text())
def test_a_model_nobody_priced_is_refused_and_the_known_ones_are_named(name: str) -> None:
    with pytest.raises(UnknownPrice) as refused:
        CATALOGUE.model(f"unpriced {name}")
    assert isinstance(refused.value, BudgetError)
    assert all(model.name in refused.value.next_step for model in LADDER)


def test_tiers_are_ordered_from_the_cheapest() -> None:
    assert [tier.rank for tier in Tier] == [0, 1, 2, 3]
    assert list(Tier) == ["economy", "standard", "strong", "frontier"]


@given(CATALOGUES)
def test_the_ladder_has_one_model_of_each_tier_there_is_and_it_is_the_cheapest(
    catalogue: Catalogue,
) -> None:
    models = list(catalogue.models.values())
    ladder = catalogue.ladder()
    assert [model.tier for model in ladder] == [
        tier for tier in Tier if any(model.tier is tier for model in models)
    ]
    for model in models:
        (found,) = (rung for rung in ladder if rung.tier is model.tier)
        assert (found.price.output, found.name) <= (model.price.output, model.name)
        assert catalogue.of_tier(model.tier) == found


@given(CATALOGUES, st.data())
def test_the_ladder_does_not_depend_on_the_order_of_the_price_file(
    catalogue: Catalogue, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(list(catalogue.models.items())))
    assert Catalogue(dict(shuffled)).ladder() == catalogue.ladder()


@given(MAPPINGS)
def test_a_tier_is_stood_for_by_the_model_named_for_it(mapping: dict[Tier, str]) -> None:
    chosen = CATALOGUE.with_tiers(mapping)
    for tier, name in mapping.items():
        found = chosen.of_tier(tier)
        assert found is not None
        assert (found.name, found.tier) == (name, tier)
        assert found.price == CATALOGUE.model(name).price


@given(MAPPINGS)
def test_naming_a_model_for_one_tier_leaves_the_other_tiers_as_they_were(
    mapping: dict[Tier, str],
) -> None:
    chosen = CATALOGUE.with_tiers(mapping)
    for tier in set(Tier) - set(mapping):
        assert chosen.of_tier(tier) == CATALOGUE.of_tier(tier)
    assert [model.tier for model in chosen.ladder()] == list(Tier)


def test_one_upstream_serves_what_is_named_for_no_vendor() -> None:
    cheap, standard, *_ = LADDER
    other = replace(cheap, name="openai:gpt-5-mini", price=replace(cheap.price, output=0.1))
    models = {model.name: model for model in (other, standard, replace(standard, name="모델:8b"))}
    assert Catalogue(models).ladder()[0] == other
    assert Catalogue(models).unprefixed().ladder() == (standard,)
    assert "모델:8b" in Catalogue(models).unprefixed().models
    both = Catalogue({**models, cheap.name: cheap}, {Tier.ECONOMY: other.name})
    assert both.unprefixed().ladder() == (cheap, standard)
    named = CATALOGUE.with_tiers({Tier.STRONG: standard.name})
    assert named.unprefixed().ladder() == named.ladder()


@given(MAPPINGS, MAPPINGS)
def test_the_later_naming_counts(first: dict[Tier, str], then: dict[Tier, str]) -> None:
    twice = CATALOGUE.with_tiers(first).with_tiers(then)
    assert twice.ladder() == CATALOGUE.with_tiers({**first, **then}).ladder()


@given(TIERS)
def test_a_tier_is_never_stood_for_by_a_model_without_a_price(tier: Tier) -> None:
    with pytest.raises(UnknownPrice):
        CATALOGUE.with_tiers({tier: "unpriced"})
    with pytest.raises(UnknownPrice):
        Catalogue(CATALOGUE.models, {tier: "unpriced"}).ladder()
