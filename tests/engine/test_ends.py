"""What a wish to cancel, a stop, a defect and a deaf listener do to the tasks of a run."""

import asyncio
from pathlib import Path

import pytest

from helios.bootstrap.house import open_house, surroundings
from helios.bootstrap.project import read_project
from helios.bootstrap.session import open_session
from helios.config import load_settings
from helios.domain.ids import TaskId
from helios.domain.workflow.graph import Graph
from helios.domain.workflow.retries import RetryDecision
from helios.domain.workflow.states import RunState, TaskState
from helios.engine.worker import TaskWorker
from helios.errors import RunStopping
from helios.ports.events import RunEvent
from tests.engine.driving import Driven, Project

pytestmark = pytest.mark.slow


async def long_back_off(*_: object) -> RetryDecision:
    return RetryDecision(600.0, 0, "again in ten minutes")


async def backing_off(driven: Driven) -> None:
    run = driven.session.record.id
    while not any(  # noqa: ASYNC110
        a.finished_at for a in await driven.house.stores.runs.attempts(run, TaskId("one"))
    ):
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)


def test_a_wish_to_cancel_ends_a_back_off_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, "  one: {run: exit 1}\n  next: {run: 'true', needs: one}\n")
    monkeypatch.setattr(TaskWorker, "_decide", long_back_off)

    async def cancel(driven: Driven) -> None:
        await backing_off(driven)
        await driven.house.book.ask_to_cancel(driven.session.record)

    state, states, _, _ = project.drive(cancel)
    assert state is RunState.CANCELLED
    assert set(states.values()) == {TaskState.CANCELLED}


def test_a_stop_after_it_does_not_undo_a_wish_to_cancel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, "  one: {run: exit 1}\n")
    monkeypatch.setattr(TaskWorker, "_decide", long_back_off)

    async def cancel_and_stop(driven: Driven) -> None:
        await backing_off(driven)
        await driven.house.book.ask_to_cancel(driven.session.record)
        driven.session.engine.stop()

    with pytest.raises(RunStopping):
        project.drive(cancel_and_stop)
    state, states, _, moves = project.drive()
    assert (state, states) == (RunState.CANCELLED, {"one": TaskState.CANCELLED})
    assert moves.count(("one", "running")) == 1


def test_a_stop_ends_a_back_off_at_once_and_leaves_the_task_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, "  one: {run: exit 1}\n")
    monkeypatch.setattr(TaskWorker, "_decide", long_back_off)

    async def stop(driven: Driven) -> None:
        await backing_off(driven)
        driven.session.engine.stop()

    with pytest.raises(RunStopping):
        project.drive(stop)

    async def look() -> None:
        async with project.opened() as driven:
            assert (await driven.states())["one"] is TaskState.RUNNING
            assert driven.session.record.state is RunState.STOPPED

    asyncio.run(look())


def test_a_defect_in_deciding_fails_the_task_and_cancels_nothing_by_you(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, "  one: {run: exit 1}\n  next: {run: 'true', needs: one}\n")

    async def defect(*_: object) -> None:
        raise ZeroDivisionError("0으로 나눔")

    monkeypatch.setattr(TaskWorker, "_decide", defect)
    state, states, reasons, _ = project.drive()
    assert state is RunState.FAILED
    assert states == {"one": TaskState.FAILED, "next": TaskState.CANCELLED}
    assert "0으로 나눔" in reasons["one"]
    assert reasons["next"] == "needs one, which failed"


def test_a_listener_that_is_gone_takes_no_task_with_it(tmp_path: Path) -> None:
    """A closed stdout: what is committed stands, and everybody goes on."""
    project = Project(tmp_path, "  one: {run: 'true'}\n  next: {run: 'true', needs: one}\n")
    told: list[RunEvent] = []

    def closed_after_three(event: RunEvent) -> None:
        told.append(event)
        if len(told) > 3:
            raise BrokenPipeError

    async def go() -> tuple[RunState, set[TaskState]]:
        given = {"home": tmp_path / "home", "sandbox": "direct", "log_level": "error"}
        read = load_settings(given, environment={})
        loaded = read_project(project.path)
        async with (
            open_house(read, sink=closed_after_three) as house,
            house.locks.hold(loaded.id, str(project.path)) as hold,
        ):
            record = await house.book.pick(
                loaded.id, str(loaded.path), loaded.spec, surroundings(read), "start"
            )
            async with open_session(house, record, loaded.spec, hold) as session:
                ended = await session.engine.run()
            return ended, {task.state for task in await house.stores.runs.tasks(record.id)}

    assert asyncio.run(go()) == (RunState.DONE, {TaskState.DONE})
    assert len(told) > 4


def test_what_an_end_blocks_is_worked_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = "".join(f"  t{n}: {{run: 'true', needs: t{n - 1}}}\n" for n in range(1, 20))
    tasks = f"  slow: {{run: sleep 1.5}}\n  t0: {{run: exit 1, retries: 0}}\n{chain}"
    asked: list[TaskId] = []
    whole = Graph.downstream

    def counted(self: Graph, task: TaskId) -> object:
        asked.append(task)
        return whole(self, task)

    monkeypatch.setattr(Graph, "downstream", counted)
    state, states, reasons, _ = Project(tmp_path, tasks).drive()
    assert state is RunState.FAILED
    assert {reasons[f"t{n}"] for n in range(1, 20)} == {"needs t0, which failed"}
    assert states["slow"] is TaskState.DONE
    assert asked == ["t0"]
