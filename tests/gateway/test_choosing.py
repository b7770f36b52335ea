"""What is chosen the upstream can serve; what is held is no more than a window each time."""

import json
from pathlib import Path
from typing import Any

import httpx2

from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever
from tests.gateway.clients.rig import gateway
from tests.gateway.recorder import plain, recorder
from tests.gateway.test_budget import HELLO, ask, error_of

OTHERS = """
tiers: {economy: "openai:gpt-5-mini"}
models:
  "openai:gpt-5-mini":
    tier: economy
    prices:
      - {from: 2026-01-01, input: 0.01, output: 0.01, cache_write: 0.01, cache_read: 0.01}
"""
ALL_OTHERS = """
tiers: {economy: "ollama:a", standard: "ollama:b", strong: "ollama:c", frontier: "ollama:d"}
models:
""" + "".join(
    f'  "ollama:{name}": {{tier: {tier}, prices: '
    "[{from: 2026-01-01, input: 0, output: 0, cache_write: 0, cache_read: 0}]}\n"
    for name, tier in zip("abcd", ("economy", "standard", "strong", "frontier"), strict=True)
)
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 4}


def steered(url: str, policy: str, **fields: Any) -> httpx2.Response:
    sent = {"X-Helios-Policy": policy, "X-Helios-Hold": "0"}
    return ask(url, headers=sent, **{"model": "claude-fable-5-2", **fields})


def test_a_model_of_another_vendor_is_neither_asked_nor_advised(tmp_path: Path) -> None:
    prices = tmp_path / "가격.yaml"
    prices.write_text(OTHERS, "utf-8")
    with recorder(plain()) as upstream:
        settings = {"simulator_url": upstream.url, "prices": str(prices)}
        with gateway(tmp_path / "집", HELLO, **settings) as rig:
            told = steered(rig.url, "advise")
            assert told.headers["x-helios-advice"].startswith("claude-sonnet-5-5;")
            assert steered(rig.url, "enforce").status_code == 200
            assert json.loads(upstream.bodies[-1])["model"] == "claude-sonnet-5-5"
            rig.limit(Unit.MICROUSD, 10_000, Forever())
            assert error_of(steered(rig.url, "enforce", max_tokens=60_000))[0] == 402
            assert not any(b"openai" in body for body in upstream.bodies)


def test_where_all_are_of_other_vendors_what_is_asked_is_asked(tmp_path: Path) -> None:
    prices = tmp_path / "가격.yaml"
    prices.write_text(ALL_OTHERS, "utf-8")
    with recorder(plain()) as upstream:
        settings = {"simulator_url": upstream.url, "prices": str(prices)}
        with gateway(tmp_path / "집", HELLO, **settings) as rig:
            assert "x-helios-advice" not in steered(rig.url, "advise").headers
            assert steered(rig.url, "enforce").status_code == 200
            models = {json.loads(body)["model"] for body in upstream.bodies}
            assert models == {"claude-fable-5-2"}


def test_every_reading_is_held_at_the_window_of_the_model_unless_a_beta_extends_it(
    tmp_path: Path,
) -> None:
    with (
        recorder(plain()) as upstream,
        gateway(tmp_path / "집", HELLO, simulator_url=upstream.url) as rig,
    ):
        rig.limit(Unit.TOKENS, 1_500_000, Forever())
        fields = {"model": "claude-haiku-4-5", "tools": [SEARCH]}  # read again five times
        assert ask(rig.url, **fields).status_code == 200
        beta = {"anthropic-beta": "files-api-2025-04-14,context-1m-2025-08-07"}
        assert error_of(ask(rig.url, headers=beta, **fields))[0] == 402
