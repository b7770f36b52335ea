"""The invariants as a bystander sees them: what was asked, the provider's meter, the tables."""

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from helios.domain.budget.units import Unit
from helios.domain.budget.window import NEVER
from tests.proof.books import FINAL, OPEN, Tables, faults
from tests.proof.model import LIMITS, TENANTS

Expect = Callable[[int, bool, object], None]
Place = tuple[str, float]


class Watch:
    """Remembers what it saw, and holds the ledger to it.

    Attributes:
        meter: the tokens the provider billed for each call it got.
    """

    def __init__(self, expect: Expect) -> None:
        self._expect = expect
        self.meter: dict[str, int] = {}
        self._wanted: dict[str, dict[str, int]] = {}
        self._denied: set[str] = set()
        self._ended: dict[str, tuple[str, dict[str, int]]] = {}
        self._closed: dict[Place, int] = {}
        self._seen: Tables | None = None

    def asked(self, request_id: str, wanted: dict[str, int], *, granted: bool) -> None:
        if granted:
            self._wanted.setdefault(request_id, wanted)
        else:
            self._denied.add(request_id)

    def was_sent(self, request_id: str) -> bool:
        return request_id in self.meter

    def sent(self, request_id: str, tokens: int) -> None:
        self.meter[request_id] = tokens

    def look(self, tables: Tables, now: float, actor: str | None) -> None:
        """Raises what is broken.

        Args:
            tables: as they are now.
            now: the time by the model.
            actor: the tenant who acted last; None if it was somebody else, or several.
        """
        shown = set(faults(tables))
        for number, what in sorted(shown):
            self._expect(number, not shown, what)
        lines: dict[str, dict[str, Any]] = defaultdict(dict)
        for line in tables["ledger_lines"]:
            lines[line["request_id"]][line["limit_key"]] = line
        self._caps(tables, lines)
        self._meter(lines)
        self._reservations(tables, lines)
        self._ends(tables, lines)
        self._windows(tables, now)
        if actor:
            self._tenants(tables, now, actor)
        self._seen = tables

    def _caps(self, tables: Tables, lines: dict[str, dict[str, Any]]) -> None:
        breach: dict[Place, int] = defaultdict(int)
        for own in lines.values():
            for key, line in own.items():
                breach[key, line["opened_at"]] += max(0, line["charged"] - line["estimate"])
        for row in tables["ledger_balances"]:
            cap = LIMITS[row["limit_key"]].cap + breach[row["limit_key"], row["opened_at"]]
            self._expect(1, row["spent"] + row["held"] <= cap, f"{row} is over {cap}")

    def _meter(self, lines: dict[str, dict[str, Any]]) -> None:
        """What was billed within its bound never exceeds the limit."""
        billed: dict[Place, int] = defaultdict(int)
        for request_id, tokens in self.meter.items():
            for key, line in lines.get(request_id, {}).items():
                amount = tokens if LIMITS[key].unit is Unit.TOKENS else min(tokens, 1)
                billed[key, line["opened_at"]] += min(amount, line["estimate"])
        for (key, _), amount in billed.items():
            self._expect(3, amount <= LIMITS[key].cap, f"{key} was billed {amount}")

    def _reservations(self, tables: Tables, lines: dict[str, dict[str, Any]]) -> None:
        ids = [row["request_id"] for row in tables["ledger_entries"]]
        for request_id in ids:
            number, granted = 9 if request_id in self._denied else 4, request_id in self._wanted
            self._expect(number, granted, f"{request_id} is booked but was never granted")
        for request_id, wanted in self._wanted.items():
            self._expect(4, ids.count(request_id) == 1, f"{request_id} is {ids.count(request_id)}x")
            booked = {key: line["estimate"] for key, line in lines[request_id].items()}
            self._expect(9, booked == wanted, f"{request_id} books {booked} of {wanted}")

    def _ends(self, tables: Tables, lines: dict[str, dict[str, Any]]) -> None:
        for row in tables["ledger_entries"]:
            name, state = row["request_id"], row["state"]
            charged = {key: line["charged"] for key, line in lines[name].items()}
            if name in self._ended:
                was, before = self._ended[name]
                down = all(amount <= before.get(key, 0) for key, amount in charged.items())
                true_up = (was, state) == ("charged-estimate", "settled") and down
                same = (was, before) == (state, charged)
                self._expect(5, same or true_up, f"{name}: {was} {before}, now {state} {charged}")
            if state in FINAL:
                self._ended[name] = state, charged
            refunded = state == "released" and self.meter.get(name, 0) > 0
            self._expect(7, not refunded, f"{name} was billed and given back")

    def _windows(self, tables: Tables, now: float) -> None:
        closing: dict[Place, float] = {}
        for row in tables["ledger_windows"]:
            closes = NEVER if row["closes_at"] is None else row["closes_at"]
            closing[row["window_key"], row["opened_at"]] = closes
        for (key, first), (other, second) in pairwise(sorted(closing)):
            apart = key != other or closing[key, first] <= second
            self._expect(11, apart, f"{key}: {first} and {second} overlap")
        for row in tables["ledger_balances"]:
            place = row["limit_key"], row["opened_at"]
            if closing[row["window_key"], row["opened_at"]] <= now:
                least = self._closed.setdefault(place, row["spent"])
                self._expect(10, row["spent"] >= least, f"{row} had {least} when it closed")

    def _tenants(self, tables: Tables, now: float, actor: str) -> None:
        """Nobody else's rows change, but for what time alone has ended."""
        for tenant in TENANTS:
            if tenant == actor or self._seen is None:
                continue
            if any(
                row["state"] in OPEN and row["lease_until"] <= now
                for row in _rows(self._seen, tenant)["ledger_entries"]
            ):
                continue
            before, after = _rows(self._seen, tenant), _rows(tables, tenant)
            self._expect(16, before == after, f"{actor} changed {tenant}: {before} -> {after}")


def _rows(tables: Tables, tenant: str) -> Tables:
    """The rows that belong to one tenant alone."""
    keys = ("limit_key", "window_key", "request_id")
    return {
        name: [row for row in rows if any(row.get(k, "").startswith(tenant) for k in keys)]
        for name, rows in tables.items()
    }
