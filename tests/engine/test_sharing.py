"""Several processes, homes and runs on one database do not touch each other's work."""

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from helios.domain.workflow.states import RunState, TaskState
from helios.errors import RunStopping
from tests.e2e.helios_process import Helios
from tests.engine.driving import Driven, Project

pytestmark = pytest.mark.slow

CHAIN = "".join(
    f"  t{n}: {{run: 'echo {n} >> {{log}}; sleep 0.3'{f', needs: t{n - 1}' if n else ''}}}\n"
    for n in range(3)
)
"""Three tasks one after the other; each leaves its number in a log."""


def project_in(folder: Path, tasks: str) -> Project:
    folder.mkdir()
    return Project(folder, tasks)


def home_of(folder: Path, url: str) -> Helios:
    return Helios(folder / "home", sandbox="direct", more={"HELIOS_DATABASE": url})


@pytest.mark.postgres
def test_two_runs_at_once_keep_to_their_own_tasks(tmp_path: Path, postgres_url: str) -> None:
    """The names of their tasks are the same; their order shows who ran them."""
    begun = []
    for name in ("하나", "둘"):
        folder, log = tmp_path / name, tmp_path / f"{name}.log"
        project = project_in(folder, CHAIN.replace("{log}", str(log)))
        process = home_of(folder, postgres_url).start("run", str(project.path), "--json")
        begun.append((process, log))
    for process, log in begun:
        out, err = ended(process)
        assert process.returncode == 0, out + err
        assert log.read_text() == "0\n1\n2\n"
    with psycopg.connect(postgres_url) as connection:
        queues = "SELECT name FROM dbos.queues WHERE name LIKE 'tasks%'"
        assert connection.execute(queues).fetchall() == [], "left behind"


def test_only_one_home_drives_and_the_others_see_it(tmp_path: Path, sqlite_url: str) -> None:
    project = project_in(tmp_path / "일", "  long: {run: 'sleep 15'}\n")
    first, second = home_of(tmp_path / "a", sqlite_url), home_of(tmp_path / "b", sqlite_url)
    with driving(first, project, second) as process:
        refused = second.run("run", str(project.path))
        assert refused.code == 7, refused.out + refused.err
        assert f"process {process.pid}" in refused.err
        process.send_signal(signal.SIGKILL)
        process.wait()
    with driving(second, project, first) as process:
        cancelled = first.run("cancel", str(project.path), "--json")
        assert cancelled.data["state"] == "cancelling", cancelled.err
        out, err = ended(process)
        assert process.returncode == 1, out + err
    (last,) = [json.loads(line) for line in out.splitlines() if '"summary"' in line]
    assert last["state"] == "cancelled"
    assert last["tasks"] == {"cancelled": 1}


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_what_was_begun_under_other_names_is_gone_on_with(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    """Before the update all runs shared a queue, and might be begun by each other's drivers."""
    log = tmp_path / "log"
    tasks = f"  first: {{run: 'echo x >> {log}'}}\n  slow: {{run: sleep 1, needs: first}}\n"
    project = Project(tmp_path, tasks)
    url = request.getfixturevalue("postgres_url") if kind == "postgres" else ""
    settings = {"database": url} if url else {}

    async def stop(driven: Driven) -> None:
        while (await driven.reasons())["slow"] != "at work":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        driven.session.engine.stop()
        driven.session.engine.stop()

    with pytest.raises(RunStopping):
        project.drive(stop, **settings)
    (engine_db,) = [*tmp_path.rglob("engine.db"), None][:1]
    engine = create_engine(
        url.replace("postgresql:", "postgresql+psycopg:") if url else f"sqlite:///{engine_db}"
    )
    table = "dbos.workflow_status" if url else "workflow_status"
    with engine.begin() as connection:
        changed = connection.execute(
            text(
                f"UPDATE {table} SET queue_name = 'tasks', executor_id = 'another.1'"
                " WHERE status = 'PENDING'"
            )
        )
        assert changed.rowcount == 1
    engine.dispose()
    state, states, _, moves = project.drive(**settings)
    assert state is RunState.DONE
    assert set(states.values()) == {TaskState.DONE}
    assert log.read_text() == "x\n"
    assert moves.count(("slow", "running")) == 1


def driven(helios: Helios, project: Project) -> bool:
    said = helios.run("status", str(project.path), "--json")
    return said.code == 0 and bool(said.data["driven"])


@contextmanager
def driving(helios: Helios, project: Project, watcher: Helios) -> Iterator["subprocess.Popen[str]"]:
    """A process at work on a project, seen by another home; killed at the end."""
    process = helios.start("run", str(project.path), "--json")
    try:
        deadline = time.perf_counter() + 60
        while not driven(watcher, project):
            assert process.poll() is None, process.communicate()
            assert time.perf_counter() < deadline
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: "subprocess.Popen[str]", most_s: float = 60) -> tuple[str, str]:
    """What it said; a process that hangs is killed and named."""
    began = time.perf_counter()
    try:
        return process.communicate(timeout=most_s)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        spent = time.perf_counter() - began
        raise AssertionError(f"hung for {spent:.0f} s\n{out}\n{err}") from None
