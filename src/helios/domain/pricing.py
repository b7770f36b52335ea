"""What tokens cost. Prices are data: they come from price files, never from code.

Money is counted in whole millionths of a US dollar, so that books balance exactly. One dollar a
million tokens is one micro-dollar a token.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from helios.domain.usage import Usage
from helios.domain.vendors import split_vendor
from helios.errors import UnknownPrice

MICRO = 1_000_000


class Tier(StrEnum):
    """How strong a model is, and so how dear; ordered from the cheapest."""

    ECONOMY = "economy"
    STANDARD = "standard"
    STRONG = "strong"
    FRONTIER = "frontier"

    @property
    def rank(self) -> int:
        """0 for the cheapest."""
        return list(Tier).index(self)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens.

    `cache_write` is for five minutes, `cache_write_1h` for an hour; None is not listed.
    """

    input: float
    output: float
    cache_write: float
    cache_read: float
    cache_write_1h: float | None = None

    @property
    def hour_write(self) -> float:
        """What an hour in the cache costs; where it is not listed, the dearest it may be taken for:
        twice the input, as the provider charges for every model, or the five-minute price.
        """
        if self.cache_write_1h is not None:
            return self.cache_write_1h
        return max(2 * self.input, self.cache_write)


@dataclass(frozen=True, slots=True)
class Model:
    """A model Helios may call: its name at the provider, its tier and its prices.

    `long_prompt` applies to the whole request when the prompt exceeds `long_prompt_tokens`.
    `prompt_overhead` is the tokens that the way to the model adds to every prompt;
    `context_tokens` the most tokens a prompt may have, unless the request asks for a larger window
    (None: not known).
    """

    name: str
    tier: Tier
    price: Price
    long_prompt_tokens: int | None = None
    long_prompt: Price | None = None
    max_output_tokens: int = 8192
    prompt_overhead: int = 0
    context_tokens: int | None = None

    def price_for(self, prompt_tokens: int) -> Price:
        """The price that applies to a prompt of this size."""
        if self.long_prompt and self.long_prompt_tokens is not None:
            return self.long_prompt if prompt_tokens > self.long_prompt_tokens else self.price
        return self.price

    def cost_microusd(self, usage: Usage) -> int:
        """The cost of this usage in millionths of a dollar, rounded up."""
        price = self.price_for(usage.prompt_tokens)
        exact = (
            usage.input_tokens * price.input
            + usage.output_tokens * price.output
            + (usage.cache_write_tokens - usage.cache_write_1h_tokens) * price.cache_write
            + usage.cache_write_1h_tokens * price.hour_write
            + usage.cache_read_tokens * price.cache_read
        )
        return math.ceil(round(exact, 6))

    def bound_microusd(
        self, input_tokens: int, output_tokens: int, *, hour_cache: bool = False
    ) -> int:
        """The most such a call can cost: every input token at the dearest input price.

        `hour_cache` says that the request may ask for the one-hour cache; Helios's own never do.
        """
        # A shorter prompt may fall under the ordinary price, and that may be the dearer one.
        prices = (self.price, self.price_for(input_tokens))
        kinds = [kind for p in prices for kind in (p.input, p.cache_write, p.cache_read)]
        dearest = max(*kinds, *(p.hour_write for p in prices if hour_cache))
        output = max(price.output for price in prices)
        return math.ceil(round(input_tokens * dearest + output_tokens * output, 6))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The models at hand, by name, and which of them stands for a tier.

    A tier without an entry in `tiers` is stood for by its cheapest model.
    """

    models: Mapping[str, Model] = field(default_factory=dict[str, Model])
    tiers: Mapping[Tier, str] = field(default_factory=dict[Tier, str])

    def model(self, name: str) -> Model:
        """The model of this name.

        Raises:
            UnknownPrice: nobody told Helios what it costs, so nothing can be bounded.
        """
        found = self.models.get(name)
        if found is None:
            raise UnknownPrice(
                f"no price is known for model {name!r}",
                next_step=f"Known are {', '.join(sorted(self.models))} and those that genai-prices "
                "lists; another gets its price in the file that the setting `prices` names.",
            )
        return found

    def of_tier(self, tier: Tier) -> Model | None:
        """The model that stands for a tier; None when there is none."""
        if tier in self.tiers:
            return replace(self.model(self.tiers[tier]), tier=tier)
        found = [model for model in self.models.values() if model.tier is tier]
        return min(found, key=lambda model: (model.price.output, model.name), default=None)

    def with_tiers(self, tiers: Mapping[Tier, str]) -> "Catalogue":
        """The same models, with others standing for some tiers.

        A model keeps its own tier in the books, whatever it stands for.

        Raises:
            UnknownPrice: one of them has no price.
        """
        for name in tiers.values():
            self.model(name)
        return Catalogue(self.models, {**self.tiers, **tiers})

    def unprefixed(self) -> "Catalogue":
        """The models whose names begin with no vendor: those that one upstream can serve, which
        knows nothing of such prefixes.
        """
        tiers = {tier: name for tier, name in self.tiers.items() if split_vendor(name)[0] is None}
        names = (name for name in (*self.models, *tiers.values()) if split_vendor(name)[0] is None)
        return Catalogue({name: self.model(name) for name in names}, tiers)

    def ladder(self) -> tuple[Model, ...]:
        """One model a tier, cheapest first."""
        found = (self.of_tier(tier) for tier in Tier)
        return tuple(model for model in found if model)
