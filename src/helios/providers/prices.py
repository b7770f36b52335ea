"""The price book: a packaged file, a user's file over it, and genai-prices for every other model.

Reading the files takes milliseconds; genai-prices takes a fifth of a second to import and is asked
only for a model that no file names.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from helios.domain.pricing import Catalogue, Model, Price, Tier
from helios.domain.vendors import split_vendor
from helios.providers.model_facts import (
    CLAUDE_CODE_ALIASES,
    CLAUDE_CODE_OVERHEAD,
    is_release,
    tier_of,
)
from helios.providers.yaml_file import Node, read_file, read_text

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

_KINDS = ("input", "output", "cache_write", "cache_read")
_HOUR = "cache_write_1h"


def listed_models() -> tuple[str, ...]:
    """The models of the packaged file, whenever their prices begin."""
    return tuple(_packaged().fields(("models",), ("about", "tiers"))["models"].entries())


def priced_models() -> tuple[str, ...]:
    """The names of Anthropic's models that a file or genai-prices knows, whenever priced."""
    from genai_prices.data_snapshot import get_snapshot

    vendors = (vendor for vendor in get_snapshot().providers if vendor.id == "anthropic")
    known = (model.id for vendor in vendors for model in vendor.models)
    return tuple(dict.fromkeys((*listed_models(), *known)))


def load_catalogue(override: Path | None, at: datetime) -> Catalogue:
    """The models and what they cost at a time.

    Args:
        override: a price file laid over the packaged one, model by model.
        at: when; the prices that have begun by then count.

    Raises:
        UsageError: a price file is wrong, with the place, or no tier has a price at that time.
    """
    sheets = [_read_sheet(_packaged(), at)]
    if override is not None:
        sheets.append(_read_sheet(read_file(override), at))
    models = {name: model for sheet in sheets for name, model in sheet.models.items()}
    tiers = {tier: node for sheet in sheets for tier, node in sheet.tiers.items()}
    chosen = tuple(_representative(tier, node, models, at) for tier, node in tiers.items())
    return Catalogue(PriceBook(models, chosen, at))


def price_of(name: str, at: datetime, vendor: str = "anthropic") -> Model | None:
    """A vendor's model as genai-prices knows it at a time; None when it knows no such model.

    Another vendor's is put into the economy tier; whoever knows the prices of ours says better. Its
    window is left open, as that of a name that is no release.
    """
    from genai_prices.data_snapshot import get_snapshot

    tier = tier_of(name) if vendor == "anthropic" else Tier.ECONOMY
    if tier is None:
        return None
    try:
        _, found = get_snapshot().find_provider_model(name, None, vendor, None)
    except LookupError:
        return None
    listed = found.get_prices(at)
    price = _listed_price(listed, long=False)
    if price is None:
        return None
    known = vendor == "anthropic" and is_release(name)
    model = Model(name, tier, price, context_tokens=found.context_window if known else None)
    starts = [start for kind in _KINDS for start in _tier_starts(listed, kind)]
    if not starts:
        return model
    long = _listed_price(listed, long=True)
    return replace(model, long_prompt_tokens=min(starts), long_prompt=long)


class PriceBook(Mapping[str, Model]):
    """Iterating gives the models Helios chooses from, one a tier; asking by name finds every
    other model with a known price as well.

    A name may begin with its vendor, as `openai:gpt-5-mini` does. Claude models cost the same
    whichever way they are reached, and an alias of Claude Code (haiku, sonnet, opus, fable) is the
    model that stands for its tier. What Ollama serves has no price but one that a file gives it.
    """

    def __init__(self, models: Mapping[str, Model], chosen: tuple[str, ...], at: datetime) -> None:
        self._models: dict[str, Model | None] = dict(models)
        self._chosen = chosen
        self._at = at

    def __getitem__(self, name: str) -> Model:
        if name not in self._models:
            self._models[name] = self._found(name)
        model = self._models[name]
        if model is None:
            raise KeyError(name)
        return model

    def _found(self, name: str) -> Model | None:
        vendor, bare = split_vendor(name)
        match vendor:
            case None:
                return price_of(bare, self._at)
            case "anthropic":
                found = self.get(bare)
            case "claude-code":
                found = self.get(self._unaliased(bare))
                # The name goes on whole, so that what is priced is what is asked for.
                name = f"{vendor}:{found.name}" if found else name
                found = found and replace(found, prompt_overhead=CLAUDE_CODE_OVERHEAD)
            case "ollama":
                return None
            case _:
                found = price_of(bare, self._at, vendor)
                found = found and replace(found, tier=self._tier_by_price(found))
        return replace(found, name=name) if found else None

    def _unaliased(self, name: str) -> str:
        if name not in CLAUDE_CODE_ALIASES:
            return name
        tier = tier_of(name)
        own = (model for model in self._chosen if split_vendor(model)[0] is None)
        return next((model for model in own if self[model].tier is tier), name)

    def _tier_by_price(self, model: Model) -> Tier:
        """The tier of the cheapest of ours that costs at least as much."""
        for name in self._chosen:
            if split_vendor(name)[0] is None and self[name].price.output >= model.price.output:
                return self[name].tier
        return Tier.FRONTIER

    def __iter__(self) -> Iterator[str]:
        return iter(self._chosen)

    def __len__(self) -> int:
        return len(self._chosen)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A price file at one time: models with a price by then, and who stands for each tier."""

    models: Mapping[str, Model]
    tiers: Mapping[Tier, Node]


def _packaged() -> Node:
    name = "prices.yaml"
    return read_text(name, files("helios.providers").joinpath(name).read_text(encoding="utf-8"))


def _read_sheet(root: Node, at: datetime) -> _Sheet:
    fields = root.fields(required=("models",), optional=("about", "tiers"))
    models = {}
    for name, node in fields["models"].entries().items():
        model = _read_model(name, node, at)
        if model:
            models[name] = model
    tiers = fields["tiers"].entries() if "tiers" in fields else {}
    return _Sheet(models, {_tier(node, name): node for name, node in tiers.items()})


def _read_model(name: str, node: Node, at: datetime) -> Model | None:
    """The model as priced at a time; None before its first price."""
    fields = node.fields(
        required=("tier", "prices"), optional=("max_output_tokens", "context_tokens")
    )
    tier = _tier(fields["tier"], fields["tier"].string())
    dated = []
    for entry in fields["prices"].items():
        parts = entry.fields(required=("from", *_KINDS), optional=(_HOUR, "long_prompt"))
        dated.append((parts["from"].day(), _read_price(parts), _read_long(parts)))
    begun = [entry for entry in dated if entry[0] <= at.astimezone(UTC).date()]
    if not begun:
        return None
    _, price, (above, long_price) = max(begun, key=lambda entry: entry[0])
    model = Model(name, tier, price, above, long_price)
    if "max_output_tokens" in fields:
        model = replace(model, max_output_tokens=fields["max_output_tokens"].integer(1))
    if "context_tokens" in fields:
        model = replace(model, context_tokens=fields["context_tokens"].integer(1))
    return model


def _read_price(parts: Mapping[str, Node]) -> Price:
    return Price(**{kind: parts[kind].number() for kind in (*_KINDS, _HOUR) if kind in parts})


def _read_long(parts: Mapping[str, Node]) -> tuple[int | None, Price | None]:
    if "long_prompt" not in parts:
        return None, None
    fields = parts["long_prompt"].fields(("above", *_KINDS), (_HOUR,))
    return fields["above"].integer(1), _read_price(fields)


def _tier(node: Node, name: str) -> Tier:
    if name not in set(Tier):
        raise node.fail(f"unknown tier {name!r}", f"Known tiers: {', '.join(Tier)}.")
    return Tier(name)


def _representative(tier: Tier, node: Node, models: Mapping[str, Model], at: datetime) -> str:
    name = node.string()
    if name not in models:
        raise node.fail(
            f"{name!r} has no price on {at.date()}",
            "Check this computer's date, or give the model a price from an earlier day.",
        )
    if models[name].tier is not tier:
        raise node.fail(f"{name!r} is of tier {models[name].tier}, not {tier}")
    return name


def _listed_price(listed: "ModelPrice", *, long: bool) -> Price | None:
    """The price without thresholds, or beyond the last one; None without input or output."""
    read = {kind: _amount(listed, kind, long=long) for kind in _KINDS}
    plain, output = read["input"], read["output"]
    if plain is None or output is None:
        return None
    write, reread = read["cache_write"], read["cache_read"]
    # A model listed without cache prices has no cache: its tokens would be plain input.
    return Price(
        plain,
        output,
        plain if write is None else write,
        plain if reread is None else reread,
        _amount(listed, _HOUR, long=long),
    )


def _amount(listed: "ModelPrice", kind: str, *, long: bool) -> float | None:
    amount = getattr(listed, f"{kind}_mtok", None)
    if amount is None or isinstance(amount, Decimal):
        return None if amount is None else float(amount)
    return float(amount.tiers[-1].price if long and amount.tiers else amount.base)


def _tier_starts(listed: "ModelPrice", kind: str) -> list[int]:
    amount = getattr(listed, f"{kind}_mtok", None)
    return [int(tier.start) for tier in getattr(amount, "tiers", ())]
