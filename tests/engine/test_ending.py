"""A driver always ends: by a defect, and by a server that is away for a moment or for good."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helios.domain.workflow.states import RunState, TaskState
from helios.engine.dispatcher import Dispatcher
from tests.e2e.helios_process import Helios
from tests.engine.driving import Driven, Project
from tests.postgres import NoPostgresError, PostgresServer, private_postgres

pytestmark = pytest.mark.slow


@pytest.mark.timeout(60)
def test_a_defect_beside_a_running_step_is_raised_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, "  long: {run: sleep 45}\n")
    monkeypatch.setattr("helios.engine.runs.GRACE_S", 0.2)

    async def go() -> None:
        async with project.opened() as driven:
            engine = driven.session.engine

            async def break_it() -> None:
                while (await driven.reasons())["long"] != "at work":  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

                async def broken(*_: object) -> None:
                    raise KeyError("no such role")

                monkeypatch.setattr(Dispatcher, "_dispatch", broken)

            beside = asyncio.ensure_future(break_it())
            with pytest.raises(KeyError, match="no such role"):
                await engine.run()
            await beside
            assert await state_of(driven) is RunState.STOPPED
            assert await driven.states() == {"long": TaskState.RUNNING}

    began = time.perf_counter()
    asyncio.run(go())
    assert time.perf_counter() - began < 40


@pytest.mark.timeout(60)
def test_a_driver_that_is_cancelled_takes_its_steps_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helios.engine.runs.GRACE_S", 0.2)
    project = Project(tmp_path, "  long: {run: sleep 45}\n")

    async def go() -> None:
        async with project.opened() as driven:
            driving = asyncio.ensure_future(driven.session.engine.run())
            while (await driven.reasons())["long"] != "at work":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            driving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await driving

    began = time.perf_counter()
    asyncio.run(go())
    assert time.perf_counter() - began < 40


@pytest.mark.postgres
def test_a_server_that_is_away_for_a_moment_costs_nothing(
    tmp_path: Path, server: PostgresServer
) -> None:
    server.run("CREATE DATABASE d")
    begun = tmp_path / "begun"
    tasks = f"  one: {{run: 'touch {begun}; sleep 1'}}\n  two: {{run: 'true', needs: one}}\n"
    project = Project(tmp_path, tasks)
    helios = Helios(tmp_path / "home", sandbox="direct")
    process = at_work(helios, project, server.url("d"))
    while not begun.exists():
        time.sleep(0.02)
    stop(server.process)
    time.sleep(2.5)  # the step ends while there is nobody to keep its result
    again = started(server)
    try:
        out, err = process.communicate(timeout=40)
    finally:
        process.kill()
        stop(again)
    assert process.returncode == 0, out + err
    assert json.loads(out.splitlines()[-1])["tasks"] == {"done": 2}


@pytest.mark.postgres
def test_a_server_that_is_gone_for_good_ends_the_process(
    tmp_path: Path, server: PostgresServer
) -> None:
    """Over TCP, where DBOS tries again and again for ever."""
    server.run("CREATE DATABASE d")
    stop(server.process)
    port = free_port()
    reachable = started(server, "-clisten_addresses=127.0.0.1", f"-cport={port}")
    project = Project(tmp_path, "  one: {run: sleep 1}\n  two: {run: 'true', needs: one}\n")
    helios = Helios(tmp_path / "home", sandbox="direct")
    try:
        process = at_work(helios, project, f"postgresql://postgres@127.0.0.1:{port}/d")
    finally:
        stop(reachable)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 6, out + err
    assert "does not answer" in err + out


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of the test's own, which it may stop."""
    try:
        with private_postgres(durable=False) as server:
            yield server
    except NoPostgresError as error:
        pytest.skip(str(error))


def stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)


def started(server: PostgresServer, *more: str) -> "subprocess.Popen[bytes]":
    """The server, started anew, perhaps otherwise; ready when it answers."""
    user: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []}
    arguments = server.process.args
    assert isinstance(arguments, list)
    process = subprocess.Popen(
        [*arguments, *more],
        cwd=server.folder,
        stderr=subprocess.DEVNULL,
        **(user if os.geteuid() == 0 else {}),
    )
    ready = server.folder / "data" / "postmaster.pid"
    deadline = time.perf_counter() + 30
    while "ready" not in (ready.read_text() if ready.exists() else ""):
        assert process.poll() is None
        assert time.perf_counter() < deadline
        time.sleep(0.02)
    return process


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def at_work(helios: Helios, project: Project, url: str) -> "subprocess.Popen[str]":
    """A process in the midst of the first task's step."""
    process = helios.start("run", str(project.path), "--json", "--database", url)
    assert process.stdout is not None
    for line in iter(process.stdout.readline, ""):
        if json.loads(line).get("reason") == "at work":
            return process
    pytest.fail(f"it never began: {process.communicate()}")


async def state_of(driven: Driven) -> RunState:
    record = await driven.house.stores.runs.run(driven.session.record.id)
    assert record
    return record.state
