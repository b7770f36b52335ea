"""A window closes in the middle of a run: what is left waits, asks nobody, and is done once."""

import asyncio
import json
from pathlib import Path

import pytest

from helios.domain.workflow.states import RunState, TaskState
from tests.engine.driving import HEAD, Driven, Project

pytestmark = pytest.mark.slow

WINDOW_S = 5 * 3600.0
TASKS = 7
PER_WINDOW = 3


def billed(project: Project) -> list[str]:
    """The tasks whose calls the simulator's own meter shows."""
    meter = project.folder / "home" / "simulator-meter.jsonl"
    lines = meter.read_text("utf-8").splitlines() if meter.exists() else []
    return [json.loads(line)["labels"]["task"] for line in lines]


def test_many_windows_long_each_call_is_made_once(tmp_path: Path) -> None:
    tasks = "".join(
        f"  t{n}: {{agent: coder, files: [a.py], editable: [a.py], prompt: change it}}\n"
        for n in range(TASKS)
    )
    project = Project(tmp_path, tasks, head=f"{HEAD}parallel: 4\n")
    counts: list[int] = []

    async def pass_windows(driven: Driven) -> None:
        for window in range(TASKS // PER_WINDOW):
            spent = min(TASKS, (window + 1) * PER_WINDOW)
            await driven.until(lambda states, done=spent: _done(states) == done)  # type: ignore[misc]
            await driven.until(lambda states: _waiting(states) > 0)
            counts.append(len(billed(project)))
            await asyncio.sleep(1.2)
            counts.append(len(billed(project)))
            project.clock.ahead_s += WINDOW_S

    def _done(states: object) -> int:
        return list(states.values()).count(TaskState.DONE)  # type: ignore[attr-defined]

    def _waiting(states: object) -> int:
        return list(states.values()).count(TaskState.WAITING)  # type: ignore[attr-defined]

    state, _, _, _ = project.drive(pass_windows, plan_messages=str(PER_WINDOW))
    assert state is RunState.DONE
    assert counts == [3, 3, 6, 6]
    assert sorted(billed(project)) == [f"t{n}" for n in range(TASKS)]
