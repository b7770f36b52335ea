"""One project whose tiers are models of different vendors."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from helios.domain.workflow.states import RunState, TaskState
from helios.ports.runs import CallRecord
from helios.providers.simulator import SimulatorProvider, start_simulator
from tests.engine.driving import ANSWER, HEAD, Project

pytestmark = pytest.mark.slow

MODELS = "models: {economy: 'openai:gpt-5-mini', strong: 'ollama:llama3:8b'}\n"
PRICES = """\
models:
  ollama:llama3:8b:
    tier: economy
    prices: [{from: 2026-01-01, input: 0, output: 0, cache_write: 0, cache_read: 0}]
"""
TASKS = "".join(
    f"  {tier}: {{agent: coder, model: {tier}, files: [a.py], editable: [a.py], prompt: 고쳐}}\n"
    for tier in ("economy", "standard", "strong")
)


async def answered(
    project: Project, settings: Mapping[str, str]
) -> tuple[RunState, dict[str, TaskState], tuple[CallRecord, ...], SimulatorProvider]:
    script = project.folder / "answers.yaml"
    simulator = await start_simulator(
        script=script, meter=None, time_scale=0.0, clock=project.clock
    )
    url = simulator.base_url
    keys = {"provider": "anthropic", "api_key": "k", "base_url": url, "openai_api_key": "k"}
    ends = {"openai_base_url": f"{url}/openai/v1", "ollama_base_url": f"{url}/openai/v1"}
    try:
        async with project.opened(**keys, **ends, **settings) as driven, asyncio.timeout(90):
            state = await driven.session.engine.run()
            calls = await driven.house.stores.runs.calls(driven.session.record.id)
            return state, await driven.states(), calls, simulator
    finally:
        await simulator.close()


def test_tiers_of_one_role_run_on_three_vendors_in_one_project(tmp_path: Path) -> None:
    project = Project(tmp_path, TASKS, head=f"{HEAD}{MODELS}", answers=ANSWER)
    prices = tmp_path / "prices.yaml"
    prices.write_text(PRICES, encoding="utf-8")
    state, states, calls, simulator = asyncio.run(answered(project, {"prices": str(prices)}))
    assert (state, set(states.values())) == (RunState.DONE, {TaskState.DONE})
    models = {call.task: call.model for call in calls}
    assert models == {
        "economy": "openai:gpt-5-mini",
        "standard": "claude-sonnet-5-5",
        "strong": "ollama:llama3:8b",
    }
    costs = {call.task: call.cost_microusd for call in calls}
    assert costs["strong"] == 0
    assert 0 < costs["economy"] < costs["standard"]
    billed = Counter(answer.model for answer in simulator.reading().answers)
    assert billed == {"gpt-5-mini": 1, "claude-sonnet-5-5": 1, "llama3:8b": 1}
    assert all(call.simulated for call in calls)
