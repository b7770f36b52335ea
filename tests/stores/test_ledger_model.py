"""The ledger against a model of it that is too simple to be wrong, in any order of events.

The model keeps dictionaries and adds up every sum anew. The same machine must find each of the
planted bugs at the end of this file; a machine that finds nothing is no test.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from helios.domain.budget import ledger as rules
from helios.domain.budget.ledger import Command, EntryState, Posting, Refusal, Request
from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import NEVER, Anchored, Forever, OpensOnUse
from helios.domain.pricing import Tier
from helios.errors import HeliosError, ReservationLost
from helios.stores.sql import books, ledger
from helios.stores.sql.database import Database, open_database
from helios.stores.sql.ledger import SqlLedger
from helios.testing.clock import MovableClock

LEASE_S = 30.0
SHORT_S = 50.0
SPAN_S = 100.0

LIMITS = {
    found.key: found
    for found in (
        Limit("total/tokens", Unit.TOKENS, 150, Forever(), "total", "total"),
        Limit("short/tokens", Unit.TOKENS, 60, OpensOnUse(SHORT_S), "short", "short"),
        Limit("short/messages", Unit.MESSAGES, 4, OpensOnUse(SHORT_S), "short", "messages"),
        Limit(
            "strong/tokens",
            Unit.TOKENS,
            40,
            Anchored(SPAN_S),
            "strong",
            "strong",
            tiers=frozenset({Tier.STRONG}),
        ),
    )
}


@dataclass
class ModelLine:
    opened_at: float
    closes_at: float
    estimate: int
    charged: int = 0


@dataclass
class ModelEntry:
    lease_until: float
    lines: dict[str, ModelLine]
    state: str = "held"
    fence: int = 1

    @property
    def is_open(self) -> bool:
        return self.state in ("held", "sent")


@dataclass
class Model:
    """What the ledger promises, without a database."""

    now: float = 0.0
    entries: dict[str, ModelEntry] = field(default_factory=dict)
    windows: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def window(self, limit: Limit, now: float) -> tuple[float, float]:
        known = self.windows.get(limit.window_key)
        if known and now < known[-1][1]:
            return known[-1]
        if limit.window_key == "total":
            return now, NEVER
        if limit.window_key == "short":
            return now, now + SHORT_S
        return now - now % SPAN_S, now - now % SPAN_S + SPAN_S

    def books(self, limit: Limit, now: float) -> tuple[int, int, int]:
        """Spent, held and breach in the current window."""
        opened_at, _ = self.window(limit, now)
        lines = [
            (entry, line)
            for entry in self.entries.values()
            if (line := entry.lines.get(limit.key)) and line.opened_at == opened_at
        ]
        spent = sum(line.charged for _, line in lines)
        held = sum(line.estimate for entry, line in lines if entry.is_open)
        return spent, held, sum(max(0, line.charged - line.estimate) for _, line in lines)

    def expired(self) -> list[ModelEntry]:
        return [e for e in self.entries.values() if e.is_open and e.lease_until <= self.now]

    def close_expired(self) -> None:
        for entry in self.expired():
            self.close_unknown(entry)

    def close_unknown(self, entry: ModelEntry) -> None:
        if entry.state == "held":
            entry.state = "released"
        elif entry.state == "sent":
            entry.state = "charged-estimate"
            for line in entry.lines.values():
                line.charged = line.estimate

    def wanted(self, limits: Iterable[Limit], tier: Tier, tokens: int) -> dict[str, int]:
        amounts = {Unit.TOKENS: tokens, Unit.MESSAGES: 1}
        return {
            limit.key: amounts[limit.unit]
            for limit in limits
            if (not limit.tiers or tier in limit.tiers) and amounts[limit.unit]
        }

    def fits(self, wanted: dict[str, int]) -> bool:
        for key, amount in wanted.items():
            spent, held, breach = self.books(LIMITS[key], self.now)
            if spent + held + amount > LIMITS[key].cap + breach:
                return False
        return True

    def reserve(self, request_id: str, wanted: dict[str, int]) -> bool:
        known = self.entries.get(request_id)
        if known or not self.fits(wanted):
            self.close_expired()
        if known:
            return known.is_open
        if not self.fits(wanted):
            return False
        lines = {}
        for key, amount in wanted.items():
            window = self.window(LIMITS[key], self.now)
            kept = self.windows.setdefault(LIMITS[key].window_key, [])
            if window not in kept:
                kept.append(window)
            lines[key] = ModelLine(*window, amount)
        self.entries[request_id] = ModelEntry(self.now + LEASE_S, lines)
        return True

    def mark_sent(self, request_id: str, fence: int) -> bool:
        entry = self.entries.get(request_id)
        if not entry or entry.state != "held" or fence != entry.fence:
            return False
        in_time = self.now < entry.lease_until
        in_window = all(self.now < line.closes_at for line in entry.lines.values())
        if in_time and in_window:
            entry.state = "sent"
        return in_time and in_window

    def settle(self, request_id: str, fence: int, tokens: int) -> bool:
        entry = self.entries.get(request_id)
        if entry and entry.state == "settled":
            return True
        if not entry or entry.state not in ("sent", "charged-estimate") or fence != entry.fence:
            return False
        is_late = entry.state == "charged-estimate"
        if is_late and any(self.now >= line.closes_at for line in entry.lines.values()):
            return False
        for key, line in entry.lines.items():
            actual = tokens if LIMITS[key].unit is Unit.TOKENS else 1
            line.charged = min(actual, line.charged) if is_late else actual
        entry.state = "settled"
        return True

    def release(self, request_id: str, fence: int, *, unbilled: bool) -> bool:
        entry = self.entries.get(request_id)
        if entry and entry.state == "released":
            return True
        allowed = ("held", "sent") if unbilled else ("held",)
        if not entry or entry.state not in allowed or fence != entry.fence:
            return False
        entry.state = "released"
        return True

    def take_over(self, request_id: str) -> bool:
        entry = self.entries.get(request_id)
        if not entry or not entry.is_open:
            return False
        entry.fence += 1
        entry.lease_until = max(entry.lease_until, self.now + LEASE_S)
        return True


PICKS = st.integers(0, 19)
STALE = st.sampled_from([0, 0, 0, 0, 1])
SETS = st.sets(st.sampled_from(sorted(LIMITS)), min_size=1)


class LedgerMachine(RuleBasedStateMachine):
    """Every act is done to both; then they must agree in everything."""

    template: ClassVar[Path]
    check: ClassVar[Callable[[str], Any]]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="helios-model-"))
        shutil.copy(self.template, self.folder / "books.db")
        self.url = f"sqlite:///{self.folder}/books.db"
        self.runner = asyncio.Runner()
        self.clock = MovableClock()
        self.model = Model()
        self.database: Database = open_database(self.url, durable=False)
        self.ledger = SqlLedger(self.database, self.clock)
        self.tables = type(self).check(self.url)

    def teardown(self) -> None:
        self.runner.run(self.database.close())
        self.runner.close()
        self.tables.close()
        shutil.rmtree(self.folder)

    def tick(self) -> None:
        self.model.now = max(self.model.now, self.clock.now())

    def act(self, expected: bool, asked: Any) -> None:
        """Do it; it must succeed or be refused as the model says."""
        try:
            self.runner.run(asked)
        except ReservationLost:
            assert not expected
        else:
            assert expected

    def pick(self, number: int) -> str:
        """Mostly an open entry, because that is where things can go wrong."""
        is_open = [name for name, entry in self.model.entries.items() if entry.is_open]
        return is_open[number % len(is_open)] if is_open and number < 15 else f"요청-{number}"

    def fence(self, request_id: str, stale: int) -> int:
        entry = self.model.entries.get(request_id)
        return (entry.fence if entry else 1) - stale

    @rule(
        number=PICKS,
        tier=st.sampled_from([Tier.STANDARD, Tier.STRONG]),
        tokens=st.integers(1, 45),
        keys=SETS,
    )
    def reserve(self, number: int, tier: Tier, tokens: int, keys: set[str]) -> None:
        self.tick()
        request_id = f"요청-{number}"
        limits = [LIMITS[key] for key in sorted(keys, reverse=True)]
        wanted = self.model.wanted(limits, tier, tokens)
        expected = self.model.reserve(request_id, wanted)
        estimate = {Unit.TOKENS: tokens, Unit.MESSAGES: 1}
        request = Request(request_id, tier, estimate, lease_s=LEASE_S)
        admission = self.runner.run(self.ledger.reserve(request, limits))
        assert admission.granted == expected, admission.reason
        assert not expected or admission.entry is not None
        assert admission.entry == self.runner.run(self.ledger.entry(request_id))

    @rule(number=PICKS, stale=STALE)
    def mark_sent(self, number: int, stale: int) -> None:
        self.tick()
        request_id = self.pick(number)
        fence = self.fence(request_id, stale)
        expected = self.model.mark_sent(request_id, fence)
        self.act(expected, self.ledger.mark_sent(request_id, fence))

    @rule(number=PICKS, stale=STALE, tokens=st.integers(0, 60))
    def settle(self, number: int, stale: int, tokens: int) -> None:
        self.tick()
        request_id = self.pick(number)
        fence = self.fence(request_id, stale)
        expected = self.model.settle(request_id, fence, tokens)
        actual = {Unit.TOKENS: tokens, Unit.MESSAGES: 1}
        self.act(expected, self.ledger.settle(request_id, fence, actual))

    @rule(number=PICKS, stale=STALE, unbilled=st.booleans())
    def release(self, number: int, stale: int, unbilled: bool) -> None:
        self.tick()
        request_id = self.pick(number)
        fence = self.fence(request_id, stale)
        expected = self.model.release(request_id, fence, unbilled=unbilled)
        self.act(expected, self.ledger.release(request_id, fence, unbilled=unbilled))

    @rule(number=PICKS)
    def take_over(self, number: int) -> None:
        self.tick()
        request_id = self.pick(number)
        expected = self.model.take_over(request_id)
        self.act(expected, self.ledger.take_over(request_id, LEASE_S))

    @rule(number=PICKS)
    def charge_unknown(self, number: int) -> None:
        self.tick()
        request_id = self.pick(number)
        entry = self.model.entries.get(request_id)
        if entry:
            self.model.close_unknown(entry)
        self.act(entry is not None, self.ledger.charge_unknown(request_id))

    @rule()
    def sweep(self) -> None:
        self.tick()
        expected = len(self.model.expired())
        self.model.close_expired()
        assert len(self.runner.run(self.ledger.sweep())) == expected

    @rule(seconds=st.sampled_from([1, 10, 30, 50, 100, 86_400, -1, -50, -86_400]))
    def move_clock(self, seconds: int) -> None:
        self.clock.move(seconds)

    @rule()
    def open_again(self) -> None:
        self.runner.run(self.database.close())
        self.database = open_database(self.url, durable=False)
        self.ledger = SqlLedger(self.database, self.clock)

    @invariant()
    def tables_agree(self) -> None:
        tables = self.tables.check()
        entries = {row["request_id"]: row for row in tables["ledger_entries"]}
        assert set(entries) == set(self.model.entries)
        for request_id, entry in self.model.entries.items():
            row = entries[request_id]
            assert (row["state"], row["fence"]) == (entry.state, entry.fence)
            assert row["lease_until"] == entry.lease_until
        assert {
            (line["request_id"], line["limit_key"]): (
                line["opened_at"],
                NEVER if line["closes_at"] is None else line["closes_at"],
                line["estimate"],
                line["charged"],
            )
            for line in tables["ledger_lines"]
        } == {
            (request_id, key): (line.opened_at, line.closes_at, line.estimate, line.charged)
            for request_id, entry in self.model.entries.items()
            for key, line in entry.lines.items()
        }

    @invariant()
    def balances_agree(self) -> None:
        now = max(self.model.now, self.clock.now())
        for balance in self.runner.run(self.ledger.balances(list(LIMITS.values()))):
            books = self.model.books(balance.limit, now)
            assert (balance.spent, balance.held, balance.breach) == books
            assert (balance.window.opened_at, balance.window.closes_at) == self.model.window(
                balance.limit, now
            )


@pytest.fixture
def machine(sqlite_with_tables: Path, books_check: Callable[[str], Any]) -> type[LedgerMachine]:
    class Machine(LedgerMachine):
        template = sqlite_with_tables
        check = staticmethod(books_check)

    return Machine


@pytest.mark.slow
def test_the_ledger_agrees_with_the_model(machine: type[LedgerMachine]) -> None:
    thorough = settings(max_examples=80, stateful_step_count=30, deadline=None, database=None)
    run_state_machine_as_test(machine, settings=thorough)


def _admit_ignoring_what_is_held(request: Any, balances: Any, now: float) -> Any:
    return rules.admit(request, tuple(replace(b, held=0) for b in balances), now)


def _admit_on_the_first_limit_only(request: Any, balances: Any, now: float) -> Any:
    return rules.admit(request, balances[:1], now)


def _post_without_fence(entry: Any, command: Command, **options: Any) -> Posting | Refusal:
    return rules.post(entry, command, **{**options, "fence": None})


def _post_with_a_stopped_clock(entry: Any, command: Command, **options: Any) -> Posting | Refusal:
    is_sweep = command is Command.EXPIRE
    return rules.post(entry, command, **options if is_sweep else {**options, "now": 0.0})


def _post_refunding_the_unknown(entry: Any, command: Command, **options: Any) -> Posting | Refusal:
    if command is Command.EXPIRE and entry.state is EntryState.SENT:
        command, options = Command.PROVE_UNBILLED, {**options, "fence": None}
    return rules.post(entry, command, **options)


def _post_charging_the_estimate(entry: Any, command: Command, **options: Any) -> Posting | Refusal:
    if command is Command.SETTLE:
        options["actual"] = None
    return rules.post(entry, command, **options)


def _following_the_clock(self: books.Books, latest: float, own: float) -> float:
    self._latest, self.now = latest, self._clock.now()
    return self.now


def _forgetting_the_time(self: books.Books) -> None:
    return None


def _seeing_no_expired(self: books.Books) -> bool:
    return False


PLANTED = {
    "held amounts are ignored": (ledger, "admit", _admit_ignoring_what_is_held),
    "only one limit is asked": (ledger, "admit", _admit_on_the_first_limit_only),
    "anybody's fence will do": (ledger, "post", _post_without_fence),
    "leases and windows never end": (ledger, "post", _post_with_a_stopped_clock),
    "the unknown is refunded": (books, "post", _post_refunding_the_unknown),
    "settling forgets the actual": (ledger, "post", _post_charging_the_estimate),
    "time follows the clock back": (books.Books, "_tell", _following_the_clock),
    "time is not kept": (books.Books, "keep_time", _forgetting_the_time),
    "dead holds refuse the living": (books.Books, "is_any_expired", _seeing_no_expired),
}


@pytest.mark.slow
@pytest.mark.parametrize("bug", PLANTED)
def test_the_machine_finds_a_planted_bug(
    bug: str, machine: type[LedgerMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, name, broken = PLANTED[bug]
    monkeypatch.setattr(place, name, broken)
    search = settings(
        max_examples=200,
        stateful_step_count=30,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        print_blob=False,
    )
    with pytest.raises((AssertionError, HeliosError)):
        run_state_machine_as_test(machine, settings=search)
