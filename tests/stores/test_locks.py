"""One process holds a project where its runs live, and its death frees it at once."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

import helios
from helios.domain.ids import ProjectId
from helios.errors import ConflictError
from helios.ports.locks import ProjectLocks
from helios.stores.file_locks import FileLocks
from helios.stores.open import Stores, open_stores
from helios.testing.clock import MovableClock

PROJECT = ProjectId("작은-일-1")
HOLDER = """
import asyncio, sys
from helios.stores.open import open_stores
from helios.telemetry.system_clock import SystemClock

async def hold():
    stores = open_stores(sys.argv[1], SystemClock())
    async with stores.locks.hold(sys.argv[2], "helios.yaml"):
        print("held", flush=True)
        await asyncio.sleep(60)

asyncio.run(hold())
"""


@contextmanager
def another(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the project."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url, PROJECT],
        env={"PYTHONPATH": str(Path(helios.__file__).parents[1]), "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


def with_stores(url: str, work: Callable[[Stores], Awaitable[None]]) -> None:
    async def go() -> None:
        stores = open_stores(url, MovableClock())
        try:
            async with asyncio.timeout(60):
                await work(stores)
        finally:
            await stores.close()

    asyncio.run(go())


async def is_refused(locks: ProjectLocks, match: str) -> None:
    with pytest.raises(ConflictError, match=match):
        async with locks.hold(PROJECT, "일.yaml"):
            pytest.fail("both hold it")


def test_the_second_is_refused_until_the_first_is_dead(store_url: str) -> None:
    async def meet(stores: Stores) -> None:
        locks = stores.locks
        assert not await locks.is_held(PROJECT)
        with another(store_url) as holder:
            assert await locks.is_held(PROJECT)
            assert not await locks.is_held(ProjectId("other"))
            await is_refused(locks, f"일.yaml is already being run by process {holder.pid}")
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            async with locks.hold(PROJECT, "일.yaml") as hold:
                assert await locks.is_held(PROJECT)
                await hold.confirm()
                async with locks.hold(ProjectId("other"), "b.yaml"):
                    assert await locks.is_held(ProjectId("other"))
        assert not await locks.is_held(PROJECT)

    with_stores(store_url, meet)


def test_who_looks_never_turns_a_starter_away(tmp_path: Path) -> None:
    """The lock is shared for the moment of looking."""
    locks = FileLocks(tmp_path)

    async def go() -> None:
        async with locks.hold(PROJECT, "a.yaml"):
            pass
        with (tmp_path / f"{PROJECT}.lock").open() as looking:
            import fcntl

            fcntl.flock(looking, fcntl.LOCK_SH)
            assert not await locks.is_held(PROJECT)
            asyncio.get_running_loop().call_later(0.05, looking.close)
            async with locks.hold(PROJECT, "a.yaml"):
                assert await locks.is_held(PROJECT)

    asyncio.run(go())


def test_a_file_reached_by_another_name_has_the_same_locks(
    tmp_path: Path, sqlite_store_url: str
) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(sqlite_store_url.removeprefix("sqlite:///"))

    async def meet(stores: Stores) -> None:
        async with stores.locks.hold(PROJECT, "a.yaml"):
            other = open_stores(f"sqlite:///{link}", MovableClock())
            assert await other.locks.is_held(PROJECT)
            await other.close()

    with_stores(sqlite_store_url, meet)


@pytest.mark.postgres
def test_a_broken_session_takes_its_lock_again_or_says_that_it_is_lost(
    postgres_store_url: str,
) -> None:
    def cut() -> None:
        ours = "application_name LIKE 'helios % on %'"
        with psycopg.connect(postgres_store_url) as connection:
            cuts = connection.execute(
                f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {ours}"
            ).fetchall()
            assert cuts == [(True,)]

    async def meet(stores: Stores) -> None:
        async with stores.locks.hold(PROJECT, "일.yaml") as hold:
            await asyncio.to_thread(cut)
            assert not await stores.locks.is_held(PROJECT)
            await hold.confirm()
            assert await stores.locks.is_held(PROJECT)
            await asyncio.to_thread(cut)
            with another(postgres_store_url), pytest.raises(ConflictError, match="process"):
                await hold.confirm()

    with_stores(postgres_store_url, meet)
