"""What must be true of the ledger's tables at every commit, read past the store's own code."""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from sqlalchemy import create_engine, text

from helios.stores.sql import engines

TABLES = (
    "ledger_balances",
    "ledger_entries",
    "ledger_lines",
    "ledger_events",
    "ledger_windows",
)
OPEN = {"held", "sent"}
FINAL = {"settled", "released", "charged-estimate"}

Tables = dict[str, list[Any]]
Fault = tuple[int, str]
"""The number of a broken invariant, and where."""


class Broken(AssertionError):
    """An invariant does not hold; number 0 is the agreement with the model."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(f"invariant {number}: {what}")
        self.number = number


class BooksCheck:
    """A look into the tables of one database."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(engines.parse(url))

    def read(self) -> Tables:
        with self._engine.connect() as connection:
            tables: Tables = {
                name: list(connection.execute(text(f"SELECT * FROM {name}")).mappings())
                for name in TABLES
            }
        tables["ledger_events"].sort(key=lambda event: event["seq"])
        return tables

    def check(self) -> Tables:
        """Invariants 1, 2, 4, 5, 7, 9 and 12; answers with the tables."""
        tables = self.read()
        for fault in faults(tables):
            raise Broken(*fault)
        return tables

    def entry(self, request_id: str) -> Any:
        """One entry as another connection sees it, or None."""
        query = text("SELECT * FROM ledger_entries WHERE request_id = :name")
        with self._engine.connect() as connection:
            return connection.execute(query, {"name": request_id}).mappings().one_or_none()

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


def faults(tables: Tables) -> Iterator[Fault]:
    """Everything the tables alone show to be broken."""
    yield from _over_the_cap(tables)
    yield from _sums_that_differ(tables)
    yield from _replays_that_differ(tables)
    yield from _ways_that_are_not_allowed(tables)


def _over_the_cap(tables: Tables) -> Iterator[Fault]:
    for row in tables["ledger_balances"]:
        if min(row["spent"], row["held"]) < 0 or (
            row["spent"] + row["held"] > row["cap"] + row["breach"]
        ):
            yield 1, f"{row}"


def _sums_that_differ(tables: Tables) -> Iterator[Fault]:
    states = {row["request_id"]: row["state"] for row in tables["ledger_entries"]}
    held: dict[Any, int] = defaultdict(int)
    spent: dict[Any, int] = defaultdict(int)
    for line in tables["ledger_lines"]:
        place = line["limit_key"], line["opened_at"]
        state = states[line["request_id"]]
        held[place] += line["estimate"] if state in OPEN else 0
        spent[place] += line["charged"]
        if line["charged"] and state not in ("settled", "charged-estimate"):
            yield 7, f"{line} is charged although {state}"
    for row in tables["ledger_balances"]:
        place = row["limit_key"], row["opened_at"]
        if (row["held"], row["spent"]) != (held[place], spent[place]):
            yield 2, f"{row}: the entries add up to {held[place]} held, {spent[place]} spent"


def _replays_that_differ(tables: Tables) -> Iterator[Fault]:
    books: dict[Any, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    states: dict[str, tuple[str, int]] = {}
    for event in tables["ledger_events"]:
        if event["to_state"] != "denied":
            states[event["request_id"]] = event["to_state"], event["fence"]
        for delta in _json(event["deltas"]):
            for name in ("held", "spent", "breach"):
                books[delta["limit"], delta["opened_at"]][name] += delta.get(name, 0)
    stored = {row["request_id"]: (row["state"], row["fence"]) for row in tables["ledger_entries"]}
    if states != stored:
        yield 12, f"the events give {states}, the entries are {stored}"
    for row in tables["ledger_balances"]:
        replayed = books[row["limit_key"], row["opened_at"]]
        if any(replayed[name] != row[name] for name in ("held", "spent", "breach")):
            yield 12, f"{row}: the events give {dict(replayed)}"


def _ways_that_are_not_allowed(tables: Tables) -> Iterator[Fault]:
    """One reservation an id; a final state stays but for one true-up; held is never charged."""
    ways: dict[str, list[str]] = defaultdict(list)
    for event in tables["ledger_events"]:
        if event["to_state"] == "denied":
            continue
        way = ways[event["request_id"]]
        if event["from_state"] != (way[-1] if way else "absent"):
            yield 4, f"{event} does not follow {way}"
        way.append(event["to_state"])
        given_back = event["from_state"] == "sent" and event["to_state"] == "released"
        if given_back and event["command"] != "prove-unbilled":
            yield 7, f"{event} gives back what may have been billed"
    for request_id, way in ways.items():
        ends = [state for state in way if state in FINAL]
        if len(ends) > 1 and ends != ["charged-estimate", "settled"]:
            yield 5, f"{request_id} went {way}"
        if ends and ends[0] != "released" and "sent" not in way:
            yield 7, f"{request_id} was charged without being sent: {way}"


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
