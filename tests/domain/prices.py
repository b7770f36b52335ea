"""Prices and models for tests: any that a price file may hold, and one plain model a tier."""

from hypothesis import strategies as st

from helios.domain.pricing import Catalogue, Model, Price, Tier
from helios.domain.usage import Usage

MILLS = 1000
"""Prices are drawn in thousandths of a dollar, so that costs can be told in whole numbers."""

_DOLLARS = st.integers(0, 100 * MILLS).map(lambda mills: mills / MILLS)
_TOKENS = st.integers(0, 500_000)
TIERS = st.sampled_from(Tier)
PRICES = st.builds(Price, _DOLLARS, _DOLLARS, _DOLLARS, _DOLLARS)
USAGES = st.builds(Usage, _TOKENS, _TOKENS, _TOKENS, _TOKENS)
PLAIN_MODELS = st.builds(Model, st.sampled_from(["클로드", "model-1", "z"]), TIERS, PRICES)
MODELS = PLAIN_MODELS | st.builds(
    Model,
    st.just("long"),
    TIERS,
    PRICES,
    long_prompt_tokens=_TOKENS,
    long_prompt=PRICES,
)


def plain_model(tier: Tier) -> Model:
    dollars = 2.0**tier.rank
    return Model(f"{tier}-1", tier, Price(dollars, 5 * dollars, 1.25 * dollars, dollars / 10))


LADDER = tuple(plain_model(tier) for tier in Tier)
CATALOGUE = Catalogue({model.name: model for model in LADDER})
