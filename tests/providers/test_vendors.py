"""Several vendors in one project: a model's name says whose it is."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from helios.domain.pricing import Tier
from helios.domain.vendors import split_vendor
from helios.errors import RequestRefused, UnknownPrice, UsageError
from helios.ports.models import Message, ModelRequest
from helios.providers.open import open_provider
from helios.providers.prices import load_catalogue
from helios.providers.vendors import VendorRouter, VendorSettings
from helios.testing.scripted_model import ScriptedProvider, reply

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def asked(model: str) -> ModelRequest:
    return ModelRequest(model, "", (Message("user", "안녕"),), 10)


def settings(clock: Any, home: Path, **given: Any) -> VendorSettings:
    return VendorSettings(clock=clock, home=home, tell=lambda _: None, **given)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("openai:gpt-5", ("openai", "gpt-5")),
        ("ollama:llama3:8b", ("ollama", "llama3:8b")),
        ("claude-code:sonnet", ("claude-code", "sonnet")),
        ("llama3:8b", (None, "llama3:8b")),
        ("claude-sonnet-5-5", (None, "claude-sonnet-5-5")),
        ("openai:", (None, "openai:")),
        ("OpenAI:gpt-5", (None, "OpenAI:gpt-5")),
    ],
)
def test_only_a_known_vendor_is_split_off(name: str, parts: tuple[str | None, str]) -> None:
    assert split_vendor(name) == parts


def test_each_call_goes_to_its_vendor_which_is_opened_once_and_only_then() -> None:
    async def scenario() -> None:
        usual, other = ScriptedProvider([reply()] * 2), ScriptedProvider([reply()] * 8, counts=7)
        opened: list[str] = []

        def opener(name: str) -> Any:
            def open_it() -> ScriptedProvider:
                opened.append(name)
                return other

            return open_it

        openers: Mapping[str, Any] = {name: opener(name) for name in ("openai", "google")}
        router = VendorRouter(usual, openers, {"anthropic": usual})
        await router.call(asked("claude-haiku-5-5"))
        await router.call(asked("anthropic:claude-haiku-5-5"))
        assert opened == []
        await asyncio.gather(*(router.call(asked("openai:gpt-5")) for _ in range(8)))
        assert opened == ["openai"]
        assert await router.count_tokens(asked("openai:gpt-5")) == 7
        assert {request.model for request in usual.asked} == {"claude-haiku-5-5"}
        assert {request.model for request in other.asked} == {"gpt-5"}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("model", "given", "words"),
    [
        ("openai:gpt-5", {}, "OPENAI_API_KEY"),
        ("google:gemini-2.5-flash", {}, "GOOGLE_API_KEY"),
        ("anthropic:claude-haiku-5-5", {}, "ANTHROPIC_API_KEY"),
        ("ollama:x", {"ollama_base_url": "localhost:11434"}, "http://"),
        ("openai:x", {"openai_base_url": "ftp://x"}, "http://"),
        ("claude-code:sonnet", {"claude_binary": "no-such-program"}, "npm install"),
    ],
)
def test_a_vendor_that_cannot_be_opened_costs_nothing_and_says_the_cure(
    clock: Any, tmp_path: Path, model: str, given: dict[str, str], words: str
) -> None:
    async def scenario() -> RequestRefused:
        openers = settings(clock, tmp_path, **given).openers()
        router = VendorRouter(ScriptedProvider([]), openers, {})
        with pytest.raises(RequestRefused) as caught:
            await router.call(asked(model))
        return caught.value

    refused = asyncio.run(scenario())
    assert refused.billed == "no"
    assert words in refused.next_step


def test_a_vendor_can_be_the_usual_one_and_must_have_its_key(clock: Any, tmp_path: Path) -> None:
    async def opened(name: str, **given: str) -> str:
        provider = await open_provider(
            vendors=settings(clock, tmp_path, **given),
            script=None,
            meter=tmp_path / "meter.jsonl",
            time_scale=0.0,
            name=name,
        )
        await provider.close()
        return provider.name

    assert asyncio.run(opened("openai", openai_base_url="http://127.0.0.1:9/v1")) == "openai"
    assert asyncio.run(opened("ollama")) == "ollama"
    assert asyncio.run(opened("google", google_api_key="k")) == "google"
    with pytest.raises(UsageError, match="openai needs a key"):
        asyncio.run(opened("openai"))


@pytest.mark.parametrize(
    ("vendor", "client"), [("openai", "openai"), ("ollama", "openai"), ("google", "google.genai")]
)
def test_a_vendor_whose_client_is_missing_names_the_extra(
    clock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: str, client: str
) -> None:
    monkeypatch.setitem(sys.modules, client, None)
    openers = settings(clock, tmp_path, openai_api_key="k", google_api_key="k").openers()
    with pytest.raises(UsageError, match=f"needs {client}") as caught:
        openers[vendor]()
    assert "helios-runner[vendors]" in caught.value.next_step


def test_starting_with_several_vendors_imports_none_of_them() -> None:
    code = (
        "import sys, helios.providers.open, helios.providers.prices, helios.bootstrap.session;"
        "sys.exit(any(m in sys.modules for m in ('pydantic_ai', 'openai', 'google.genai')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_other_vendors_have_prices_and_tiers_by_them() -> None:
    catalogue = load_catalogue(None, NOW)
    mini = catalogue.model("openai:gpt-5-mini")
    assert (mini.name, mini.price.input, mini.price.output) == ("openai:gpt-5-mini", 0.25, 2.0)
    assert mini.tier is Tier.STANDARD, "dearer than our economy model"
    assert catalogue.model("openai:gpt-5-nano").tier is Tier.ECONOMY
    flash = catalogue.model("google:gemini-2.5-flash")
    assert flash.price.cache_read < flash.price.input


def test_claude_costs_the_same_whichever_way_it_is_reached() -> None:
    catalogue = load_catalogue(None, NOW)
    plain = catalogue.model("claude-sonnet-5-5")
    assert catalogue.model("anthropic:claude-sonnet-5-5").price == plain.price
    through = catalogue.model("claude-code:sonnet")
    assert through.name == "claude-code:claude-sonnet-5-5", "what is priced is what is asked for"
    assert (through.price, through.tier) == (plain.price, plain.tier)
    assert through.prompt_overhead > 0
    assert catalogue.model("claude-code:opus").tier is Tier.STRONG


@pytest.mark.parametrize(
    "name",
    ["ollama:llama3", "openai:unheard-of", "google:x", "claude-code:x", "gpt-5", "llama3:8b"],
)
def test_a_model_without_a_price_is_never_free(name: str) -> None:
    with pytest.raises(UnknownPrice) as caught:
        load_catalogue(None, NOW).model(name)
    assert "`prices`" in caught.value.next_step


def test_a_price_of_nothing_must_be_written_down(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    free = "{from: 2026-01-01, input: 0, output: 0, cache_write: 0, cache_read: 0}"
    path.write_text(
        f'models: {{"ollama:llama3:8b": {{tier: economy, prices: [{free}]}}}}', encoding="utf-8"
    )
    catalogue = load_catalogue(path, NOW).with_tiers({Tier.ECONOMY: "ollama:llama3:8b"})
    chosen = catalogue.of_tier(Tier.ECONOMY)
    assert chosen is not None
    assert (chosen.name, chosen.bound_microusd(10**6, 10**6)) == ("ollama:llama3:8b", 0)
    with pytest.raises(UnknownPrice):
        catalogue.model("ollama:llama3:70b")
