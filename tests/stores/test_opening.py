"""Opening by address: what can be wrong, and what a person is told."""

import asyncio
import os
import sqlite3
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path

import psycopg
import pytest

from helios.domain.workflow.states import TaskState
from helios.errors import StoreError, UsageError
from helios.stores import open as opening
from helios.stores.open import Stores, open_stores
from helios.stores.sql.database import Patience, open_database
from helios.testing.clock import MovableClock
from helios.testing.conformance.runs import CODE, new_run


def test_folders_are_made_and_the_file_is_private(tmp_path: Path) -> None:
    file = tmp_path / "새 폴더" / "깊은 곳" / "helios.db"
    open_database(f"sqlite:///{file}").shut()
    assert file.stat().st_mode & 0o777 == 0o600


def test_sqlite_is_set_up_to_be_durable(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    with database._engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    database.shut()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_an_up_to_date_database_opens_fast(sqlite_store_url: str) -> None:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        open_database(sqlite_store_url).shut()
        times.append(time.perf_counter() - began)
    assert min(times) < 0.02


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u:geheim@host/db", "starts with 'mysql'"),
        ("helios.db", "starts with 'helios.db'"),
        ("", "starts with ''"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("postgresql://host:port/db", "not a database address"),
    ],
)
def test_addresses_that_are_none(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        open_stores(url, MovableClock())
    assert "sqlite:///path" in raised.value.next_step
    assert "geheim" not in str(raised.value)


def test_others_may_add_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("paper", f"{__name__}:open_paper", opening.ENTRY_POINTS)
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())
    monkeypatch.setattr(opening, "entry_points", lambda group: [point])
    assert open_stores("paper:desk", MovableClock()).url == "on paper:desk"
    with pytest.raises(UsageError) as raised:
        open_stores("stone:desk", MovableClock())
    assert "paper:" in raised.value.next_step


def open_paper(url, clock, sink, *, database_time) -> Stores:
    none = dict.fromkeys(("ledger", "runs", "budget", "keys", "auditor", "locks", "shut"))
    return Stores(url=f"on {url}", **none)


def _this_module():
    module = type(sys)(__name__)
    module.open_paper = open_paper
    return module


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:geheim@/db?host=/nowhere", "me:***@"),
        ("postgresql://me@/db?host=/nowhere&password=geheim", "password=hidden"),
    ],
)
def test_the_password_is_never_shown(url: str, shown: str) -> None:
    with pytest.raises(StoreError) as raised:
        open_database(url, patience=Patience(server_s=0.0))
    assert "geheim" not in str(raised.value)
    assert shown in str(raised.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "letter.db"
    file.write_text("이것은 데이터베이스가 아닙니다. " * 100)
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"letter\.db: is not a database") as raised:
        open_database(f"sqlite:///{file}")
    assert "backup" in raised.value.next_step
    assert file.read_bytes() == before


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    # Nobody forbids root anything but what the kernel makes up itself.
    folder = Path("/proc") if os.geteuid() == 0 else tmp_path
    with pytest.raises(StoreError, match="cannot be opened") as raised:
        open_database(f"sqlite:///{folder}/helios.db")
    tmp_path.chmod(0o700)
    assert "may write" in raised.value.next_step


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        open_database(f"sqlite:///{tmp_path}")


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be opened"):
        open_database(f"sqlite:///{tmp_path}/file/helios.db")


def test_a_database_of_somebody_else_is_not_harmed(tmp_path: Path) -> None:
    file = tmp_path / "theirs.db"
    with sqlite3.connect(file) as theirs:
        theirs.execute("CREATE TABLE runs (mine TEXT)")
    theirs.close()
    with pytest.raises(StoreError, match="already exists"):
        open_database(f"sqlite:///{file}")
    theirs = sqlite3.connect(file)
    assert theirs.execute("SELECT name FROM sqlite_master").fetchall() == [("runs",)]
    theirs.close()


def test_a_server_that_is_away_is_waited_for_but_not_for_ever(tmp_path: Path) -> None:
    began = time.perf_counter()
    with pytest.raises(StoreError, match="does not answer") as raised:
        open_database(f"postgresql://me@/db?host={tmp_path}", patience=Patience(server_s=0.5))
    assert 0.2 < time.perf_counter() - began < 3
    assert "Start the server" in raised.value.next_step


@pytest.mark.postgres
def test_a_database_that_does_not_exist(postgres_url: str) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        open_database(postgres_url.replace("/test", "/nobodys_test"))


@pytest.mark.postgres
def test_a_user_who_may_not_create_tables(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN")
        connection.execute("REVOKE CREATE ON SCHEMA public FROM public")
    with pytest.raises(StoreError, match="permission denied") as raised:
        open_database(postgres_url.replace("postgres@", "guest@"))
    assert "right to create" in raised.value.next_step


def test_korean_survives_the_round_trip(store_url: str) -> None:
    async def tell() -> None:
        stores = open_stores(store_url, MovableClock())
        run = await stores.runs.create_run(new_run())
        await stores.runs.move_task(run.id, CODE, TaskState.READY, "앞선 작업이 끝났습니다")
        await stores.close()
        stores = open_stores(store_url, MovableClock())
        assert await stores.runs.run(run.id) == run
        task = await stores.runs.task(run.id, CODE)
        assert (task.id, task.reason) == ("코드-작성", "앞선 작업이 끝났습니다")
        await stores.close()

    asyncio.run(tell())


def test_the_databases_clock_measures_when_asked_to(store_url: str) -> None:
    async def tell() -> None:
        past = MovableClock(1.0)
        stores = open_stores(store_url, past)
        assert await stores.ledger.now() == 1.0
        await stores.close()
        stores = open_stores(store_url, past, database_time=True)
        first, second = await stores.ledger.now(), await stores.ledger.now()
        assert 1_700_000_000 < first <= second
        await stores.close()

    asyncio.run(tell())
