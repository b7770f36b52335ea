"""Books that cannot be reached when an answer has come: settled as soon as they are back, once."""

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter, sleep

import pytest
import structlog
from structlog.testing import LogCapture
from structlog.typing import EventDict

from helios.services.responses import passage
from tests.gateway.clients.rig import Books, Rig, gateway
from tests.gateway.recorder import Answer, plain, recorder
from tests.gateway.test_budget import HELLO, ask
from tests.gateway.test_dear_answers import stream

PAID = Books(4, 1)  # 10 * 0.10 + 5 * 0.50, rounded up


def test_the_books_are_tried_again_for_about_a_minute() -> None:
    pauses = passage.TRY_AGAIN_S
    assert list(pauses) == sorted(set(pauses))
    assert 50 <= sum(pauses) <= 75


@contextmanager
def broken(
    home: Path, table: str, answer: Answer, patch: pytest.MonkeyPatch
) -> Iterator[tuple[Rig, list[EventDict], sqlite3.Connection]]:
    """A gateway whose books lose a table while an answer is on its way, its log, and its books."""

    def lose(connection: socket.socket, body: bytes) -> None:
        with closing(sqlite3.connect(home / "helios.db", timeout=20)) as database:
            database.execute(f"ALTER TABLE {table} RENAME TO away")
        answer(connection, body)

    with (
        recorder(lose) as upstream,
        gateway(home, HELLO, simulator_url=upstream.url) as rig,
        closing(sqlite3.connect(home / "helios.db", timeout=20)) as database,
    ):
        capture = LogCapture()
        patch.setattr(passage, "log", structlog.wrap_logger(None, processors=[capture]))
        ask(rig.url)
        yield rig, capture.entries, database


def said(logs: list[EventDict], words: str, times: int = 1) -> None:
    """Wait until it stands in the log."""
    deadline = perf_counter() + 20
    while sum(words in str(entry["event"]) for entry in list(logs)) < times:
        assert perf_counter() < deadline, logs
        sleep(0.02)


@pytest.mark.parametrize(
    ("table", "answer", "paid"),
    [
        ("ledger_entries", plain(), PAID),
        ("spends", plain(), PAID),
        ("ledger_entries", plain(400), Books(0, 0)),
        ("ledger_entries", stream(status=500), None),
        ("spends", stream(status=500), None),
    ],
)
def test_what_cannot_be_settled_is_settled_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, answer: Answer, paid: Books | None
) -> None:
    monkeypatch.setattr(passage, "TRY_AGAIN_S", (0.1,) * 100)
    with broken(tmp_path / "집", table, answer, monkeypatch) as (rig, logs, database):
        said(logs, "not settled yet", times=2)
        database.execute(f"ALTER TABLE away RENAME TO {table}")
        settled = rig.settled()
        assert settled == (paid or Books(settled.microusd, 1))
        deadline = perf_counter() + 20
        while rig.reported() != settled:
            assert perf_counter() < deadline
            sleep(0.02)
        assert not any(entry["log_level"] == "error" for entry in logs)


def test_what_is_never_settled_is_left_to_its_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passage, "TRY_AGAIN_S", (0.01, 0.02))
    with broken(tmp_path / "집", "ledger_entries", plain(), monkeypatch) as (rig, logs, database):
        said(logs, "when its lease ends")
        assert sum(entry["event"] == "not settled yet" for entry in logs) == 2
        (request_id,) = {entry["request"] for entry in logs}
        database.execute("ALTER TABLE away RENAME TO ledger_entries")
        query = "SELECT request_id, state FROM ledger_entries"
        assert rig._rows(query) == [(request_id, "sent")]
