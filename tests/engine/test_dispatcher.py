"""What starts when, what never starts, and how a run ends."""

import asyncio
import threading
from pathlib import Path

import pytest

from helios.domain.workflow.states import RunState, TaskState
from helios.engine.worker import TaskWorker
from helios.errors import BudgetExhausted
from tests.engine.driving import HEAD, Driven, Project

pytestmark = pytest.mark.slow

HOUR_S = 3600.0
CODER = "{agent: coder, files: [a.py], editable: [a.py], prompt: change it}"


def running_at_once(moves: list[tuple[str, str]]) -> int:
    most, now = 0, 0
    for _, state in moves:
        now += {"running": 1, "done": -1, "failed": -1}.get(state, 0)
        most = max(most, now)
    return most


@pytest.mark.parametrize("parallel", [1, 3])
def test_no_more_than_allowed_at_once_and_no_less(tmp_path: Path, parallel: int) -> None:
    tasks = "".join(f"  t{n}: {{run: sleep 0.3}}\n" for n in range(6))
    project = Project(tmp_path, tasks, head=f"{HEAD}parallel: {parallel}\n")
    state, _, _, moves = project.drive()
    assert state is RunState.DONE
    assert running_at_once(moves) == parallel


def test_needs_come_first_and_priority_decides_the_rest(tmp_path: Path) -> None:
    tasks = (
        "  last: {run: 'true', needs: [low, high]}\n"
        "  low: {run: 'true', priority: 1}\n"
        "  high: {run: 'true', priority: 9}\n"
    )
    _, _, _, moves = Project(tmp_path, tasks, head=f"{HEAD}parallel: 1\n").drive()
    assert [task for task, state in moves if state == "running"] == ["high", "low", "last"]
    at = {move: place for place, move in enumerate(moves)}
    assert at["low", "done"] < at["last", "ready"]


def test_what_needs_a_failed_task_is_cancelled_and_the_rest_goes_on(tmp_path: Path) -> None:
    tasks = (
        "  broken: {run: exit 3, retries: 0}\n"
        "  after: {run: 'true', needs: broken}\n"
        "  long-after: {run: 'true', needs: after}\n"
        "  other: {run: 'true'}\n"
    )
    state, states, reasons, _ = Project(tmp_path, tasks).drive()
    assert state is RunState.FAILED
    assert states == {
        "broken": TaskState.FAILED,
        "after": TaskState.CANCELLED,
        "long-after": TaskState.CANCELLED,
        "other": TaskState.DONE,
    }
    assert reasons["after"] == "needs broken, which failed"


def test_a_full_window_is_waited_for_and_the_run_goes_on_after_its_reset(tmp_path: Path) -> None:
    tasks = f"  one: {CODER}\n  two: {CODER}\n"
    project = Project(tmp_path, tasks, head=f"{HEAD}parallel: 1\n")

    async def reopen(driven: Driven) -> None:
        await driven.until(lambda states: TaskState.DONE in states.values())
        await driven.until(lambda states: TaskState.WAITING in states.values())
        waiting = next(r for r in (await driven.reasons()).values() if r.startswith("budget"))
        assert "five-hour window" in waiting
        # It stays closed until its time has come, however often it is looked at.
        await asyncio.sleep(1.2)
        assert TaskState.WAITING in (await driven.states()).values()
        project.clock.ahead_s += 5 * HOUR_S

    state, states, _, _ = project.drive(reopen, plan_messages="1")
    assert state is RunState.DONE
    assert set(states.values()) == {TaskState.DONE}


def test_a_limit_that_never_resets_stops_the_run_with_its_cure(tmp_path: Path) -> None:
    tasks = f"  one: {CODER}\n  two: {CODER}\n  free: {{run: 'true', needs: one}}\n"
    project = Project(tmp_path, tasks, head=f"{HEAD}budget: {{messages: 1}}\nparallel: 1\n")
    with pytest.raises(BudgetExhausted, match="this run's messages") as stopped:
        project.drive()
    assert "helios.yaml" in stopped.value.next_step

    async def look() -> None:
        async with project.opened() as driven:
            states = await driven.states()
            assert states["free"] is states["one"] is TaskState.DONE
            assert states["two"] is TaskState.WAITING
            assert (await driven.house.stores.runs.runs())[0].state is RunState.STOPPED

    asyncio.run(look())


@pytest.mark.parametrize("step", ["_next_number", "_begin", "_work", "_decide"])
def test_a_cancellation_in_the_middle_of_any_step_ends_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    project = Project(tmp_path, "  one: {run: exit 1}\n  next: {run: 'true', needs: one}\n")
    reached = threading.Event()

    async def linger(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    async def cancel(driven: Driven) -> None:
        assert await asyncio.to_thread(reached.wait, 20)
        await driven.house.book.ask_to_cancel(driven.session.record)

    monkeypatch.setattr(TaskWorker, step, linger)
    state, states, _, _ = project.drive(cancel)
    assert state is RunState.CANCELLED
    assert set(states.values()) == {TaskState.CANCELLED}


def test_a_wish_to_cancel_ends_everything(tmp_path: Path) -> None:
    project = Project(tmp_path, "  long: {run: sleep 30}\n  next: {run: 'true', needs: long}\n")

    async def cancel(driven: Driven) -> None:
        await driven.until(lambda states: states["long"] is TaskState.RUNNING)
        await driven.house.book.ask_to_cancel(driven.session.record)

    state, states, reasons, _ = project.drive(cancel)
    assert state is RunState.CANCELLED
    assert set(states.values()) == {TaskState.CANCELLED}
    assert set(reasons.values()) == {"cancelled by you"}
