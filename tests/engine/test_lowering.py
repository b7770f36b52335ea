"""A run whose budget has no room for the most an agent may write goes on with what it needs."""

import asyncio
from pathlib import Path

import pytest

from helios.domain.budget.spend import Spend
from helios.domain.usage import Usage
from helios.domain.workflow.states import RunState, TaskState
from helios.errors import BudgetExhausted
from tests.engine.driving import HEAD, Driven, Project

pytestmark = pytest.mark.slow

MODEL = "claude-sonnet-5-5"
TASKS = f"  one: {{agent: coder, model: {MODEL}, files: [a.py], editable: [a.py], prompt: 고쳐}}\n"
SMALL = f"{HEAD}budget: {{cost_usd: 0.05}}\n"
"""Five cents: the coder may write 16,000 tokens, which is sixteen."""


async def learn(driven: Driven, samples: int) -> None:
    for n in range(samples):
        spend = Spend(f"before/{n}", 1.0 + n, MODEL, "standard", Usage(100, 900), 1,
                      simulated=True, source="run", agent="coder")  # fmt: skip
        await driven.house.stores.budget.save_spend(spend)


async def run(project: Project, samples: int) -> tuple[RunState, dict[str, TaskState]]:
    async with project.opened() as driven, asyncio.timeout(60):
        await learn(driven, samples)
        return await driven.session.engine.run(), await driven.states()


def test_a_small_budget_is_enough_for_an_agent_that_is_known_to_write_little(
    tmp_path: Path,
) -> None:
    state, states = asyncio.run(run(Project(tmp_path, TASKS, head=SMALL), samples=30))
    assert (state, states) == (RunState.DONE, {"one": TaskState.DONE})


def test_it_is_not_enough_for_an_agent_that_nothing_is_known_of(tmp_path: Path) -> None:
    with pytest.raises(BudgetExhausted, match="this run's cost"):
        asyncio.run(run(Project(tmp_path, TASKS, head=SMALL), samples=3))
