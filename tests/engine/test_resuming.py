"""What goes on after a stop or a crash, and what does not happen twice."""

import asyncio
from pathlib import Path

import pytest

from helios.domain.ids import TaskId
from helios.domain.workflow.states import RunState, TaskState
from helios.errors import RunStopping, StoreError
from tests.engine.driving import Driven, Project

pytestmark = pytest.mark.slow

COUNTED = "  counted: {{run: 'echo x >> {file}; sleep {seconds}'}}\n"


def test_a_task_the_engine_never_heard_of_is_started(tmp_path: Path) -> None:
    """The crash between the record's commit and the engine's."""
    project = Project(tmp_path, "  one: {run: 'true'}\n")

    async def crash() -> None:
        async with project.opened() as driven:
            run, one = driven.session.record.id, TaskId("one")
            for state in (TaskState.READY, TaskState.RUNNING):
                await driven.house.stores.runs.move_task(run, one, state, "begun")

    asyncio.run(crash())
    state, states, _, _ = project.drive()
    assert (state, states) == (RunState.DONE, {"one": TaskState.DONE})


def test_what_is_done_is_not_run_again_after_a_stop(tmp_path: Path) -> None:
    log = tmp_path / "log"
    tasks = COUNTED.format(file=log, seconds=0) + "  slow: {run: sleep 2, needs: counted}\n"
    project = Project(tmp_path, tasks)

    async def stop(driven: Driven) -> None:
        await driven.until(lambda states: states["slow"] is TaskState.RUNNING)
        driven.session.engine.stop()
        driven.session.engine.stop()

    with pytest.raises(RunStopping):
        project.drive(stop)
    state, states, _, moves = project.drive()
    assert state is RunState.DONE
    assert set(states.values()) == {TaskState.DONE}
    assert log.read_text() == "x\n"
    assert moves.count(("counted", "done")) == 1


def test_a_lost_database_stops_the_run_and_spoils_no_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, "  one: {run: 'true'}\n")

    async def lose() -> None:
        async with project.opened() as driven:
            runner = driven.session.engine._parts.runner

            async def lost(*_: object) -> None:
                raise StoreError("the disk is full")

            with monkeypatch.context() as patched:
                patched.setattr(type(runner), "work", lost)
                with pytest.raises(StoreError, match="disk is full"):
                    await driven.session.engine.run()

    asyncio.run(lose())
    state, states, _, _ = project.drive()
    assert (state, states) == (RunState.DONE, {"one": TaskState.DONE})


def test_a_defect_fails_its_task_alone_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, "  bad: {run: 'true', retries: 0}\n  good: {run: 'true'}\n")

    async def go() -> None:
        async with project.opened() as driven:
            runner = type(driven.session.engine._parts.runner)
            whole = runner.work

            async def defect(self: object, task: TaskId, *rest: object) -> object:
                if task == "bad":
                    raise ZeroDivisionError("1/0")
                return await whole(self, task, *rest)

            with monkeypatch.context() as patched:
                patched.setattr(runner, "work", defect)
                assert await driven.session.engine.run() is RunState.FAILED
            assert (await driven.states())["good"] is TaskState.DONE
            (attempt,) = await driven.house.stores.runs.attempts(
                driven.session.record.id, TaskId("bad")
            )
            assert "ZeroDivisionError: 1/0" in attempt.detail

    asyncio.run(go())


@pytest.mark.postgres
def test_the_same_run_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    """One database for the books, the record and the engine; stopped in the middle once."""
    tasks = "  first: {run: 'true'}\n  slow: {run: sleep 1, needs: first}\n"
    coder = "{agent: coder, files: [a.py], editable: [a.py], prompt: x, needs: slow}"
    project = Project(tmp_path, f"{tasks}  code: {coder}\n")

    async def stop(driven: Driven) -> None:
        await driven.until(lambda states: states["slow"] is TaskState.RUNNING)
        driven.session.engine.stop()
        driven.session.engine.stop()

    with pytest.raises(RunStopping):
        project.drive(stop, database=postgres_url)
    state, states, _, moves = project.drive(database=postgres_url)
    assert state is RunState.DONE
    assert set(states.values()) == {TaskState.DONE}
    assert moves.count(("first", "running")) == 1
    assert not list((tmp_path / "home").rglob("*.db"))
