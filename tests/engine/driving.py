"""Drives a small project in this process, with every real part and a clock that can jump."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from helios.bootstrap.house import House, open_house, surroundings
from helios.bootstrap.project import read_project
from helios.bootstrap.session import Session, open_session
from helios.config import load_settings
from helios.domain.workflow.states import RunState, TaskState
from helios.telemetry.system_clock import SystemClock

HEAD = "helios: 1\nname: 작은 일\ngoal: 된다\nrepo: {snapshot: code}\nanswers: answers.yaml\n"
"""The first lines of a project whose code is one file."""

ANSWER = """\
about: a recorded answer
answers:
- when: {contains: 'Task:'}
  tool: submit_patch
  input:
    summary: add a line
    edits: [{path: a.py, find: 'x = 1', replace: 'x = 2'}]
"""


class JumpingClock(SystemClock):
    """The machine's clock, put forward or back."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s


@dataclass(frozen=True, slots=True)
class Driven:
    """A run as it stands in its record, and what it is driven with."""

    house: House
    session: Session

    async def states(self) -> dict[str, TaskState]:
        tasks = await self.house.stores.runs.tasks(self.session.record.id)
        return {task.id: task.state for task in tasks}

    async def reasons(self) -> dict[str, str]:
        tasks = await self.house.stores.runs.tasks(self.session.record.id)
        return {task.id: task.reason for task in tasks}

    async def moves(self) -> list[tuple[str, str]]:
        """(task, state) in the order of the events, each change once."""
        events = await self.house.stores.runs.events(self.session.record.id)
        told = [(e.task, e.data) for e in events if e.kind == "task" and e.task]
        return [(task, data["state"]) for task, data in told if data["state"] != data["from"]]

    async def until(self, holds: Callable[[Mapping[str, TaskState]], bool]) -> None:
        """Wait until the states are as wished."""
        async with asyncio.timeout(30):
            while not holds(await self.states()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


class Project:
    """A project in a folder of its own, run as often as a test wants."""

    def __init__(self, folder: Path, tasks: str, head: str = HEAD, answers: str = ANSWER) -> None:
        self.folder = folder
        self.clock = JumpingClock()
        self.path = folder / "helios.yaml"
        (folder / "code").mkdir()
        (folder / "code" / "a.py").write_text("x = 1\n", encoding="utf-8")
        (folder / "answers.yaml").write_text(answers, encoding="utf-8")
        self.path.write_text(f"{head}tasks:\n{tasks}", encoding="utf-8")

    @asynccontextmanager
    async def opened(self, **settings: str) -> AsyncIterator[Driven]:
        """The project's run: the unfinished one, else a new one."""
        given = {"simulator_speed": "0", "sandbox": "direct", "log_level": "error", **settings}
        read = load_settings({"home": self.folder / "home", **given}, environment={})
        loaded = read_project(self.path, self.clock)
        async with (
            open_house(read, clock=self.clock) as house,
            house.locks.hold(loaded.id, str(self.path)) as hold,
        ):
            record = await house.book.pick(
                loaded.id, str(loaded.path), loaded.spec, surroundings(read), "continue or start"
            )
            async with open_session(house, record, loaded.spec, hold) as session:
                yield Driven(house, session)

    def drive(
        self,
        meanwhile: Callable[[Driven], Awaitable[None]] | None = None,
        **settings: str,
    ) -> tuple[RunState, dict[str, TaskState], dict[str, str], list[tuple[str, str]]]:
        """Run to the end; state of the run, states and reasons of its tasks, all moves."""

        async def go() -> tuple[
            RunState, dict[str, TaskState], dict[str, str], list[tuple[str, str]]
        ]:
            async with self.opened(**settings) as driven:
                beside = asyncio.ensure_future(meanwhile(driven) if meanwhile else asyncio.sleep(0))
                async with asyncio.timeout(60):
                    ended = await driven.session.engine.run()
                await beside
                return ended, await driven.states(), await driven.reasons(), await driven.moves()

        return asyncio.run(go())
