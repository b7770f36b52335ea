"""A store that is away: 503 and when to try again, and service as soon as it is back."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.postgres import NO_POSTGRES, postgres_binary
from tests.server.faces import Face, serving

pytestmark = pytest.mark.slow


def assert_away(answer) -> dict:
    assert answer.status_code == 503, answer.text
    told = answer.json()
    assert told["code"] == "store"
    assert told["next_step"]
    assert int(answer.headers["retry-after"]) >= 1
    assert told["retry_at"] == pytest.approx(time.time() + 5, abs=60)  # noqa: TID251
    return told


def assert_all_away(face: Face) -> None:
    for path in ("status", "metrics", "health", "history", "summary", "limits", "/api/health"):
        assert_away(face.get(path))
    for path, body in (
        ("request", {}),
        ("record-usage", {"model": "economy"}),
        ("release", {"request_id": "a", "fence": 1}),
        ("throttle", {"level": "paused"}),
    ):
        assert_away(face.post(path, body))


def test_a_damaged_file_is_said_so(tmp_path: Path) -> None:
    with serving(tmp_path) as face:
        assert face.post("request", {}).json()["allocated"] is True
        for file in tmp_path.glob("helios.db*"):
            # The same file that is open, not another of its name.
            with file.open("r+b") as open_file:
                open_file.truncate(0)
                open_file.write(b"this is no database " * 1000)
        time.sleep(0.2)
        assert_all_away(face)
        assert "helios.db" in face.get("status").json()["detail"]


@contextmanager
def own_postgres() -> Iterator[tuple[str, list[str], Path]]:
    """A server that a test may stop: its address, the command that starts it, its folder."""
    initdb, postgres = postgres_binary("initdb"), postgres_binary("postgres")
    if not (initdb and postgres):
        pytest.skip(NO_POSTGRES)
    folder = Path(tempfile.mkdtemp(prefix="helios-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        data = str(folder / "data")
        subprocess.run(
            [initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
            cwd=folder, check=True, capture_output=True, **_as_user(),
        )  # fmt: skip
        words = [postgres, "-D", data, "-k", str(folder), "-clisten_addresses=", "-cfsync=off"]
        yield f"postgresql://postgres@/postgres?host={folder}", words, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_user() -> dict[str, object]:
    user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    return user if os.geteuid() == 0 else {}


@contextmanager
def running(words: list[str], folder: Path, url: str) -> Iterator[None]:
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log, **_as_user())
    try:
        for _ in range(200):
            try:
                psycopg.connect(url).close()
                break
            except psycopg.OperationalError:
                time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(30)


@pytest.mark.postgres
def test_a_server_that_is_stopped_and_comes_back(tmp_path: Path) -> None:
    with own_postgres() as (url, words, folder):
        with running(words, folder, url):
            serving_it = serving(tmp_path, database=url)
            face = serving_it.__enter__()
            assert face.post("request", {"request_id": "a"}).json()["allocated"] is True
        try:
            time.sleep(0.2)
            for path, body in (("status", None), ("request", {"request_id": "b"})):
                began = time.perf_counter()
                told = assert_away(face.post(path, body) if body else face.get(path))
                assert time.perf_counter() - began < 20
                assert "postgres" in told["detail"]
            with running(words, folder, url):
                assert face.post("request", {"request_id": "b"}).json()["allocated"] is True
                assert face.get("status").json()["budget"]["current_window"]["held"] == 2
        finally:
            serving_it.__exit__(None, None, None)
