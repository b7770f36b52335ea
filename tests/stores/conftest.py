"""What the tests of the stores share: a look into the tables, and callers in other processes."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from helios.stores.sql import engines

TABLES = (
    "ledger_balances",
    "ledger_entries",
    "ledger_lines",
    "ledger_events",
    "ledger_windows",
)

FINAL = {"settled", "released", "charged-estimate"}

Tables = dict[str, list[Any]]


class BooksCheck:
    """What must be true of the ledger's tables at every moment, read past the store's own code."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(engines.parse(url))

    def read(self) -> Tables:
        with self._engine.connect() as connection:
            tables = {
                name: list(connection.execute(text(f"SELECT * FROM {name}")).mappings())
                for name in TABLES
            }
        tables["ledger_events"].sort(key=lambda event: event["seq"])
        return tables

    def check(self) -> Tables:
        """Invariants 1, 2, 4, 5, 7, 9 and 12; answers with the tables."""
        tables = self.read()
        _within_caps(tables)
        _sums_agree(tables)
        _events_replay_to_the_same_books(tables)
        _states_follow_the_table(tables)
        return tables

    def denials(self, limit_key: str) -> list[tuple[str, int]]:
        """Every refusal, with what was spent and held on the limit at that moment."""
        taken, found = 0, []
        for event in self.read()["ledger_events"]:
            if event["to_state"] == "denied":
                found.append((event["request_id"], taken))
            for delta in _json(event["deltas"]):
                if delta["limit"] == limit_key:
                    taken += delta.get("held", 0) + delta.get("spent", 0)
        return found

    def close(self) -> None:
        self._engine.dispose()


@pytest.fixture
def books_check() -> Iterator[Callable[[str], BooksCheck]]:
    """Makes a check of the database at an address."""
    made: list[BooksCheck] = []

    def make(url: str) -> BooksCheck:
        made.append(BooksCheck(url))
        return made[-1]

    yield make
    for check in made:
        check.close()


@pytest.fixture
def caller() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `caller.py` as a process of its own; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("caller.py")), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _within_caps(tables: Tables) -> None:
    for row in tables["ledger_balances"]:
        assert row["spent"] >= 0, row
        assert row["held"] >= 0, row
        assert row["spent"] + row["held"] <= row["cap"] + row["breach"], row


def _sums_agree(tables: Tables) -> None:
    states = {row["request_id"]: row["state"] for row in tables["ledger_entries"]}
    held: dict[Any, int] = defaultdict(int)
    spent: dict[Any, int] = defaultdict(int)
    for line in tables["ledger_lines"]:
        place = line["limit_key"], line["opened_at"]
        state = states[line["request_id"]]
        held[place] += line["estimate"] if state in ("held", "sent") else 0
        spent[place] += line["charged"]
        assert line["charged"] == 0 or state in ("settled", "charged-estimate"), line
    for row in tables["ledger_balances"]:
        place = row["limit_key"], row["opened_at"]
        assert (row["held"], row["spent"]) == (held[place], spent[place]), row


def _events_replay_to_the_same_books(tables: Tables) -> None:
    books: dict[Any, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    states: dict[str, tuple[str, int]] = {}
    for event in tables["ledger_events"]:
        if event["to_state"] != "denied":
            states[event["request_id"]] = event["to_state"], event["fence"]
        for delta in _json(event["deltas"]):
            for name in ("held", "spent", "breach"):
                books[delta["limit"], delta["opened_at"]][name] += delta.get(name, 0)
    stored = {row["request_id"]: (row["state"], row["fence"]) for row in tables["ledger_entries"]}
    assert states == stored
    for row in tables["ledger_balances"]:
        replayed = books[row["limit_key"], row["opened_at"]]
        assert all(replayed[name] == row[name] for name in ("held", "spent", "breach")), row


def _states_follow_the_table(tables: Tables) -> None:
    """One reservation an id; a final state stays but for one true-up; held is never charged."""
    ways: dict[str, list[str]] = defaultdict(list)
    for event in tables["ledger_events"]:
        if event["to_state"] == "denied":
            continue
        way = ways[event["request_id"]]
        assert event["from_state"] == (way[-1] if way else "absent"), (event, way)
        way.append(event["to_state"])
        if event["from_state"] == "sent" and event["to_state"] == "released":
            assert event["command"] == "prove-unbilled", event
    for request_id, way in ways.items():
        ends = [state for state in way if state in FINAL]
        assert len(ends) <= 1 or ends == ["charged-estimate", "settled"], (request_id, way)
        if ends and ends[0] != "released":
            assert "sent" in way, f"{request_id} was charged without being sent: {way}"


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
