"""Prices come from files with dates, and from genai-prices for the rest."""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from helios.domain.gateway.bound import CONTEXT_TOKENS
from helios.domain.pricing import Tier
from helios.domain.usage import Usage
from helios.errors import UnknownPrice, UsageError
from helios.providers.prices import listed_models, load_catalogue, price_of

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CHEAP = "{from: 2026-01-01, input: 1, output: 1, cache_write: 1, cache_read: 1}"


@pytest.fixture
def price_file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "my-prices.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_ladder_is_one_model_a_tier_from_the_cheapest() -> None:
    ladder = load_catalogue(None, NOW).ladder()
    assert [(model.tier, model.name) for model in ladder] == [
        (Tier.ECONOMY, "claude-haiku-5-5"),
        (Tier.STANDARD, "claude-sonnet-5-5"),
        (Tier.STRONG, "claude-opus-5-5"),
        (Tier.FRONTIER, "claude-fable-5-2"),
    ]


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        ("claude-fable-5-2", (8, 40, 10, 0.20)),
        ("claude-opus-5-5", (4, 20, 5, 0.20)),
        ("claude-sonnet-5-5", (2, 10, 2.5, 0.10)),
        ("claude-haiku-5-5", (0.10, 0.50, 0.125, 0.01)),
    ],
)
def test_the_packaged_prices_are_the_table_and_agree_with_genai_prices(
    model: str, dollars: tuple[float, ...]
) -> None:
    listed = load_catalogue(None, NOW).model(model)
    price = listed.price
    assert (price.input, price.output, price.cache_write, price.cache_read) == dollars
    elsewhere = price_of(model, NOW)
    assert elsewhere is not None
    assert elsewhere.price == price
    assert (elsewhere.long_prompt_tokens, elsewhere.long_prompt, elsewhere.tier) == (
        listed.long_prompt_tokens,
        listed.long_prompt,
        listed.tier,
    )
    assert elsewhere.context_tokens == CONTEXT_TOKENS == (listed.context_tokens or CONTEXT_TOKENS)


def test_the_hour_in_the_cache_is_in_the_table_and_without_a_price_twice_the_input(
    price_file: Any,
) -> None:
    hours = [model.price.cache_write_1h for model in load_catalogue(None, NOW).ladder()]
    assert hours == [0.20, 4, 8, 16]
    long = load_catalogue(None, NOW).model("claude-haiku-5-5").long_prompt
    assert long is not None
    assert (long.cache_write_1h, long.hour_write) == (1.0, 1.0)
    path = price_file(f"models:\n  m: {{tier: economy, prices: [{CHEAP}]}}")
    assert load_catalogue(path, NOW).model("m").cost_microusd(Usage(0, 0, 10, 0, 10)) == 20


@pytest.mark.parametrize(
    ("model", "read", "microusd"),
    [
        # 1,234 in, 567 out, 2,000 kept five minutes, 1,000 kept an hour, 40,000 read again
        ("claude-fable-5-2", 1_234, 9_872 + 22_680 + 20_000 + 16_000 + 8_000),
        ("claude-opus-5-5", 1_234, 4_936 + 11_340 + 10_000 + 8_000 + 8_000),
        ("claude-sonnet-5-5", 1_234, 2_468 + 5_670 + 5_000 + 4_000 + 4_000),
        # $0.0012569, and beyond 100,000 tokens of prompt $0.0362845: rounded up
        ("claude-haiku-5-5", 1_234, 1_257),
        ("claude-haiku-5-5", 61_234, 36_285),
    ],
)
def test_a_reply_with_cache_costs_what_the_table_says_to_the_micro_dollar(
    model: str, read: int, microusd: int
) -> None:
    usage = Usage(read, 567, 3_000, 40_000, cache_write_1h_tokens=1_000)
    assert load_catalogue(None, NOW).model(model).cost_microusd(usage) == microusd
    assert price_of(model, NOW).cost_microusd(usage) == microusd


def test_a_long_prompt_costs_more_for_the_whole_request() -> None:
    haiku = load_catalogue(None, NOW).model("claude-haiku-5-5")
    assert haiku.cost_microusd(Usage(100_000, 1000)) == 10_500
    assert haiku.cost_microusd(Usage(100_001, 1000)) == 52_501


@pytest.mark.parametrize(
    ("name", "tier", "output"),
    [
        ("claude-opus-4-5", Tier.STRONG, 25.0),
        ("claude-haiku-4-5-20251001", Tier.ECONOMY, 5.0),
        ("claude-sonnet-5", Tier.STANDARD, 10.0),
        ("claude-3-opus-20240229", Tier.STRONG, 75.0),
    ],
)
def test_a_model_no_file_names_is_priced_by_genai_prices(
    name: str, tier: Tier, output: float
) -> None:
    catalogue = load_catalogue(None, NOW)
    model = catalogue.model(name)
    assert (model.name, model.tier, model.price.output) == (name, tier, output)
    assert name in catalogue.models
    assert name not in [model.name for model in catalogue.ladder()]


@pytest.mark.parametrize(
    ("name", "window"),
    [
        ("claude-haiku-4-5-20251001", 200_000),
        ("anthropic:claude-opus-4-1", 200_000),
        ("claude-3-5-haiku-latest", 200_000),
        ("claude-opus-4-6", 1_000_000),
        # found by how they begin, and perhaps no such model
        ("claude-sonnet-4-5[1m]", None),
        ("claude-opus-4-5-20251101-1m", None),
        ("claude-opus-4-10", None),
        ("openai:gpt-5-mini", None),
    ],
)
def test_a_window_is_known_only_of_what_is_surely_meant(name: str, window: int | None) -> None:
    assert load_catalogue(None, NOW).model(name).context_tokens == window


@pytest.mark.parametrize("name", ["gpt-5", "claude-opus-99", "opus", "", "소네트"])
def test_a_model_nobody_prices_is_an_error_and_never_free(name: str) -> None:
    with pytest.raises(UnknownPrice, match="no price is known") as caught:
        load_catalogue(None, NOW).model(name)
    assert "claude-haiku-5-5" in caught.value.next_step


def test_the_file_of_a_user_is_laid_over_model_by_model(price_file: Any) -> None:
    path = price_file(
        f"""
tiers: {{strong: our-own-opus}}
models:
  our-own-opus: {{tier: strong, max_output_tokens: 32000, context_tokens: 64000, prices: [{CHEAP}]}}
  claude-haiku-5-5:
    tier: economy
    prices:
      - {{from: 2026-11-20, input: 0.2, output: 1, cache_write: 0.25, cache_read: 0.02}}
      - {{from: 2026-11-22, input: 9, output: 9, cache_write: 9, cache_read: 9}}
"""
    )
    catalogue = load_catalogue(path, NOW)
    assert catalogue.of_tier(Tier.STRONG).name == "our-own-opus"
    assert catalogue.of_tier(Tier.STRONG).max_output_tokens == 32_000
    assert catalogue.of_tier(Tier.STRONG).context_tokens == 64_000
    assert catalogue.model("claude-haiku-5-5").context_tokens is None
    assert catalogue.model("claude-haiku-5-5").price.input == 0.2
    assert catalogue.model("claude-haiku-5-5").long_prompt is None
    assert catalogue.model("claude-opus-5-5").price.output == 20
    assert catalogue.of_tier(Tier.STANDARD).name == "claude-sonnet-5-5"


def test_prices_change_on_their_day_in_utc(price_file: Any) -> None:
    path = price_file(
        f"""
models:
  m:
    tier: economy
    prices:
      - {{from: 2026-12-01, input: 9, output: 9, cache_write: 9, cache_read: 9}}
      - {CHEAP}
"""
    )
    before = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    after = datetime(2026, 12, 1, 0, 0, tzinfo=UTC)
    assert load_catalogue(path, before).model("m").price.input == 1
    assert load_catalogue(path, after).model("m").price.input == 9


def test_a_time_before_every_price_is_an_error_that_names_the_date() -> None:
    with pytest.raises(UsageError, match="has no price on 2020-01-01") as caught:
        load_catalogue(None, datetime(2020, 1, 1, tzinfo=UTC))
    assert "date" in caught.value.next_step


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("models: [", "my-prices.yaml:2:1: not valid YAML"),
        ("model: {}", "my-prices.yaml:1: model: unknown key 'model'"),
        ("tiers: {}", "my-prices.yaml:1: 'models' is missing"),
        (f"models:\n  m: {{prices: [{CHEAP}]}}", "my-prices.yaml:2: models.m: 'tier' is missing"),
        (
            f"models:\n  m:\n    tier: cheap\n    prices: [{CHEAP}]",
            "my-prices.yaml:3: models.m.tier: unknown tier 'cheap'",
        ),
        (
            "models:\n  m: {tier: strong, prices: [{from: 2026-01-01, input: 1}]}",
            "models.m.prices[1]: 'output' is missing",
        ),
        (
            f"models:\n  m: {{tier: strong, prices: [{CHEAP.replace('input: 1', 'input: -1')}]}}",
            "models.m.prices[1].input: must be a number of at least 0",
        ),
        (
            f"models:\n  m: {{tier: strong, prices: [{CHEAP.replace('input: 1', 'input: .nan')}]}}",
            "models.m.prices[1].input: must be a number",
        ),
        (
            f"models:\n  m: {{tier: strong, prices: [{CHEAP.replace('2026-01-01', 'soon')}]}}",
            "models.m.prices[1].from: must be a date",
        ),
        ("tiers: {strong: m}\nmodels: {}", "my-prices.yaml:1: tiers.strong: 'm' has no price"),
        (
            f"models:\n  m: {{tier: strong, context_tokens: 0, prices: [{CHEAP}]}}",
            "models.m.context_tokens: must be",
        ),
        ("tiers: {huge: m}\nmodels: {}", "tiers.huge: unknown tier 'huge'"),
        (
            f"tiers: {{strong: m}}\nmodels:\n  m: {{tier: economy, prices: [{CHEAP}]}}",
            "tiers.strong: 'm' is of tier economy, not strong",
        ),
    ],
)
def test_a_wrong_price_file_names_the_place(price_file: Any, text: str, place: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_catalogue(price_file(text), NOW)
    assert place in caught.value.message


def test_loading_is_quick_and_does_not_import_genai_prices() -> None:
    load_catalogue(None, NOW)
    began = time.perf_counter()
    load_catalogue(None, NOW)
    assert time.perf_counter() - began < 0.05
    code = (
        "import sys; from datetime import *; from helios.providers.prices import *;"
        "load_catalogue(None, datetime(2026, 11, 21, tzinfo=UTC)).ladder();"
        "sys.exit('genai_prices' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)


def test_listed_models_are_those_of_the_packaged_file() -> None:
    assert set(listed_models()) == {model.name for model in load_catalogue(None, NOW).ladder()}
