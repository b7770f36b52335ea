"""The real, unmodified Claude Code as a provider, against the simulator."""

import asyncio
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.installed import CLAUDE_CODE
from tests.providers.canned import Canned, canned

from helios.errors import Overloaded, RateLimited, RequestRefused
from helios.ports.models import ModelRequest, Tool
from helios.providers.claude_code import ClaudeCodeProvider
from helios.providers.prices import load_catalogue
from helios.telemetry.system_clock import SystemClock

pytestmark = pytest.mark.slow

MODEL = "claude-sonnet-5-5"
SCRIPT = """
answers:
  - when: {contains: "고쳐"}
    tool: StructuredOutput
    input: {summary: "나머지가 0이 될 때까지 나눈다"}
  - when: {contains: "인사"}
    text: "안녕하세요, 반갑습니다."
"""


def binary() -> Path | None:
    """As a user has it, as the tests install it, or None."""
    own = CLAUDE_CODE.folder / CLAUDE_CODE.program
    found = shutil.which("claude")
    return Path(found) if found else own if own.exists() else None


@pytest.fixture
def claude(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClaudeCodeProvider]:
    program = binary()
    if program is None:
        pytest.skip("Claude Code is not installed: python -m tests.installed")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-simulated")
    memory = tmp_path / "home" / ".claude" / "CLAUDE.md"
    memory.parent.mkdir(parents=True)
    memory.write_text("The user's own notes, " * 1000)
    provider = ClaudeCodeProvider(program, tmp_path / "empty", 2, SystemClock())
    yield provider
    asyncio.run(provider.close())


def asked(ask: Any, text: str, *earlier: str, **given: Any) -> ModelRequest:
    return ask(text, *earlier, model=MODEL, timeout_s=60.0, **given)


def test_one_request_is_made_whatever_becomes_of_it_and_its_usage_is_the_meters(
    claude: Any, simulate: Any, ask: Any, patch_tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with simulate(SCRIPT) as simulator:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", simulator.base_url)
            text = await claude.call(asked(ask, "인사해 줘"))
            tool = await claude.call(asked(ask, "고쳐", "먼저", tool=patch_tool))
            # Left alone, it would ask for more of this three times.
            cut = await claude.call(asked(ask, "인사해 줘", max_tokens=2))
            answers = simulator.reading().answers
        assert text.text.endswith("안녕하세요, 반갑습니다.")
        assert tool.tool_input == {"summary": "나머지가 0이 될 때까지 나눈다"}
        stops = [reply.stop_reason for reply in (text, tool, cut)]
        assert stops == ["end_turn", "tool_use", "max_tokens"]
        assert all(reply.simulated for reply in (text, tool, cut))
        assert [answer.usage for answer in answers] == [text.usage, tool.usage, cut.usage]
        # The bound of a request covers what the program adds of its own.
        overhead = (
            load_catalogue(None, datetime(2026, 11, 21, tzinfo=UTC))
            .model(f"claude-code:{MODEL}")
            .prompt_overhead
        )
        assert text.usage.prompt_tokens < overhead / 4

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "error", "billed"),
    [(429, RateLimited, "no"), (529, Overloaded, "no"), (500, Overloaded, "unknown")],
)
def test_an_error_is_not_tried_again(
    claude: Any, ask: Any, monkeypatch: pytest.MonkeyPatch, status: int, error: Any, billed: str
) -> None:
    body = {"type": "error", "error": {"type": "api_error", "message": "안 됩니다"}}

    async def scenario() -> list[str]:
        async with canned(Canned(body, status)) as server:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
            with pytest.raises(error) as caught:
                await claude.call(asked(ask, "인사해 줘"))
        assert caught.value.billed == billed
        return [path for path, _, _ in server.asked if path.startswith("/v1/messages")]

    assert len(asyncio.run(scenario())) == 1


def test_what_the_script_does_not_know_is_refused_and_costs_nothing(
    claude: Any, simulate: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with simulate(SCRIPT) as simulator:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", simulator.base_url)
            with pytest.raises(RequestRefused, match="no recorded answer") as caught:
                await claude.call(asked(ask, "아무도 모르는 것"))
            assert caught.value.billed == "no"
            assert simulator.reading().answers == ()

    asyncio.run(scenario())


def test_without_a_login_it_says_how_to_get_one(
    claude: Any, simulate: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")

    async def scenario() -> None:
        async with simulate(SCRIPT) as simulator:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", simulator.base_url)
            with pytest.raises(RequestRefused, match="Not logged in") as caught:
                await claude.call(asked(ask, "인사해 줘"))
            assert caught.value.billed == "no"
            assert "/login" in caught.value.next_step

    asyncio.run(scenario())
