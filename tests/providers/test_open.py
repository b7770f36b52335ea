"""Which provider the settings mean."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helios.errors import UsageError
from helios.providers.open import ENTRY_POINTS, open_provider
from helios.providers.vendors import VendorSettings


def opened(clock: Any, tmp_path: Path, **settings: Any) -> tuple[str, bool]:
    async def scenario() -> tuple[str, bool]:
        given = {key: settings.pop(key) for key in ("api_key", "base_url") if key in settings}
        provider = await open_provider(
            vendors=VendorSettings(clock=clock, home=tmp_path, tell=print, **given),
            script=None,
            meter=tmp_path / "meter.jsonl",
            time_scale=0.0,
            **settings,
        )
        try:
            return provider.name, provider.simulated
        finally:
            await provider.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("simulator", True)),
        ({"api_key": ""}, ("simulator", True)),
        ({"name": ""}, ("simulator", True)),
        ({"api_key": "sk-test"}, ("anthropic", False)),
        ({"api_key": "sk-test", "force_simulator": True}, ("simulator", True)),
        ({"api_key": "sk-test", "name": "simulator"}, ("simulator", True)),
        ({"api_key": "sk-test", "name": "anthropic"}, ("anthropic", False)),
    ],
)
def test_the_key_decides_unless_a_name_does(
    clock: Any, tmp_path: Path, settings: Any, expected: tuple[str, bool]
) -> None:
    assert opened(clock, tmp_path, **settings) == expected


def test_anthropic_without_a_key_says_what_to_set(clock: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        opened(clock, tmp_path, name="anthropic")
    assert "ANTHROPIC_API_KEY" in caught.value.next_step


def test_an_unknown_name_lists_the_known_ones(clock: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'gemini'") as caught:
        opened(clock, tmp_path, name="gemini")
    assert "claude-code, simulator" in caught.value.next_step


PLUGIN = """
class Owl:
    name = "owl"
    simulated = False
    async def call(self, request): ...
    async def close(self): ...

async def make(*, api_key, base_url, clock):
    assert clock.now() > 0
    return Owl()
"""


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def install(target: str) -> None:
        (tmp_path / "owl_plugin.py").write_text(PLUGIN, encoding="utf-8")
        info = tmp_path / "owl_plugin-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: owl-plugin\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\nowl = {target}\n")
        monkeypatch.syspath_prepend(str(tmp_path))

    return install


def test_a_plug_in_is_found_by_its_entry_point(
    clock: Any, tmp_path: Path, install_plugin: Any
) -> None:
    install_plugin("owl_plugin:make")
    assert opened(clock, tmp_path, name="owl") == ("owl", False)


def test_a_broken_plug_in_says_which(clock: Any, tmp_path: Path, install_plugin: Any) -> None:
    install_plugin("owl_plugin:absent")
    with pytest.raises(UsageError, match="'owl' cannot be loaded"):
        opened(clock, tmp_path, name="owl")


def test_importing_the_providers_does_not_import_the_sdk_or_the_server() -> None:
    code = (
        "import sys, helios.providers.open, helios.providers.prices;"
        "sys.exit(any(m in sys.modules for m in ('anthropic', 'httpx2', 'uvicorn', 'starlette')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
