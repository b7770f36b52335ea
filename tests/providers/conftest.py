"""A simulator for each test, on a real port, asked by the real client."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from helios.ports.models import Message, ModelRequest, Tool
from helios.providers.simulator import FaultPlan, SimulatorProvider, start_simulator

PATCH = Tool(
    "submit_patch",
    "Submit the change.",
    {
        "type": "object",
        "properties": {"summary": {"type": "string"}},
        "required": ["summary"],
        "additionalProperties": False,
    },
)

SCRIPT = """
about: recorded for the tests
answers:
  - when: {contains: "Task: fix-gcd", turn: 1, model: haiku}
    tool: submit_patch
    input: {summary: "wrong at first"}
  - when: {contains: "Task: fix-gcd"}
    tool: submit_patch
    input: {summary: "나머지가 0이 될 때까지 나눈다", lines: [1, 2.5, null]}
  - when: {contains: "인사"}
    text: "안녕하세요, 반갑습니다."
  - when: {contains: "hello"}
    text: "Good morning to you."
"""

Simulate = Callable[..., AbstractAsyncContextManager[SimulatorProvider]]


class RealClock:
    """Waits truly; the date stands still."""

    def now(self) -> float:
        return 1_800_000_000.0

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@pytest.fixture
def clock() -> RealClock:
    return RealClock()


@pytest.fixture
def script_file(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str = SCRIPT) -> Path:
        path = tmp_path / "answers.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def simulate(script_file: Callable[..., Path], clock: RealClock) -> Simulate:
    @asynccontextmanager
    async def start(
        script: str = SCRIPT,
        *,
        meter: Path | None = None,
        time_scale: float = 0.0,
        faults: FaultPlan | None = None,
        on: Any = None,
        **more: Any,
    ) -> AsyncIterator[SimulatorProvider]:
        provider = await start_simulator(
            script=script_file(script),
            meter=meter,
            time_scale=time_scale,
            clock=on or clock,
            faults=faults,
            **more,
        )
        try:
            yield provider
        finally:
            await provider.close()

    return start


@pytest.fixture
def ask() -> Callable[..., ModelRequest]:
    def make(
        text: str = "hello",
        *earlier: str,
        model: str = "claude-haiku-5-5",
        tool: Tool | None = None,
        max_tokens: int = 1000,
        timeout_s: float = 10.0,
        labels: dict[str, str] | None = None,
    ) -> ModelRequest:
        messages: list[Message] = []
        for turn in (*earlier, text):
            messages += [Message("user", turn), Message("assistant", "I see.")]
        return ModelRequest(
            model=model,
            system="You mend code.",
            messages=tuple(messages[:-1]),
            max_tokens=max_tokens,
            tool=tool,
            timeout_s=timeout_s,
            labels=labels or {},
        )

    return make


@pytest.fixture
def patch_tool() -> Tool:
    return PATCH
