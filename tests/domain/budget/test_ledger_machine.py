"""A plan with zones over many windows, in any order of commands: the books keep their promises.

The stores' own machine compares SQL with a model; this one has what that one leaves out, zones,
priorities and the room kept for the urgent, and checks the rules alone.
"""

from collections import defaultdict
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from helios.domain.budget.ledger import (
    TRANSITIONS,
    Command,
    Delta,
    Entry,
    EntryState,
    Posting,
    Request,
    admit,
    post,
    take_over,
)
from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.preset import Plan, PlanWindow, plan_limits
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Anchored, Forever, OpensOnUse, Window, window_at
from helios.domain.budget.zones import Thresholds
from helios.domain.pricing import Tier
from tests.domain.prices import TIERS

PLAN = Plan(
    "plan",
    "a small one",
    (
        PlanWindow("short", OpensOnUse(50.0), Unit.MESSAGES, 20, strong_share=0.5),
        PlanWindow("long", Anchored(200.0), Unit.TOKENS, 400),
    ),
    Thresholds(),
)
OWN = Limit("run/tokens", Unit.TOKENS, 900, Forever(), "run", "this run's tokens")
LIMITS = {limit.key: limit for limit in (*plan_limits(PLAN), OWN)}
UNITS = {key: str(limit.unit) for key, limit in LIMITS.items()}
LARGEST = 30
LESS = st.sampled_from([-5, 0, 3, LARGEST])
"""What a reply takes less than its bound; below nothing it is a breach."""
KEPT_FOR = 8
PICKS = st.integers(0, 30)

Key = tuple[str, float]


class BooksMachine(RuleBasedStateMachine):
    """Books that are only ever changed by what the rules post."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.entries: dict[str, Entry] = {}
        self.windows: dict[str, Window] = {}
        self.books: dict[Key, Balance] = {}
        self.spent_at_closing: dict[Key, int] = {}

    def balances(self) -> tuple[Balance, ...]:
        found = []
        for limit in LIMITS.values():
            window = window_at(limit.window, self.windows.get(limit.window_key), self.now)
            new = Balance(limit, window)
            found.append(self.books.get((limit.key, window.opened_at), new))
        return tuple(found)

    def apply(self, deltas: tuple[Delta, ...]) -> None:
        for delta in deltas:
            key = (delta.limit_key, delta.opened_at)
            old = self.books[key]
            self.books[key] = replace(
                old,
                spent=old.spent + delta.spent,
                held=old.held + delta.held,
                breach=old.breach + delta.breach,
            )

    @rule(tier=TIERS, tokens=st.integers(1, LARGEST), priority=st.integers(1, 10))
    def ask(self, tier: Tier, tokens: int, priority: int) -> None:
        estimate = {Unit.MESSAGES: 1, Unit.TOKENS: tokens}
        name = f"요청-{len(self.entries)}"
        balances = self.balances()
        answer = admit(Request(name, tier, estimate, priority, lease_s=30.0), balances, self.now)
        concerned = [b for b in balances if b.limit.applies_to(tier)]
        full = [b for b in concerned if b.room < b.limit.share_of(estimate, tier)]
        if not answer.granted:
            throttled = [b for b in concerned if b.limit.zoned and b.used >= 0.8]
            assert full or (throttled and priority < KEPT_FOR)
            return
        assert answer.entry is not None
        assert not full
        assert priority >= KEPT_FOR or all(b.used <= 0.95 for b in balances if b.limit.zoned)
        for balance in concerned:
            self.windows[balance.limit.window_key] = balance.window
            self.books.setdefault((balance.limit.key, balance.window.opened_at), balance)
        self.entries[name] = answer.entry
        self.apply(answer.deltas)

    @rule(
        pick=PICKS,
        choice=st.integers(0, 5),
        stale=st.sampled_from([0, 0, 0, 1]),
        less=LESS,
    )
    def move(self, pick: int, choice: int, stale: int, less: int) -> None:
        """Mostly what the table allows to the newest entries, and anything at all."""
        if not self.entries:
            return
        name = list(self.entries)[-1 - pick % len(self.entries)]
        before = self.entries[name]
        allowed = [command for state, command in TRANSITIONS if state is before.state]
        if stale or not allowed:
            allowed = list(Command)
        self.command(name, allowed[choice % len(allowed)], stale, less)

    def command(self, name: str, command: Command, stale: int, less: int) -> None:
        before = self.entries[name]
        tokens = max((line.estimate for line in before.lines), default=0)
        actual = {Unit.MESSAGES: 1, Unit.TOKENS: max(0, tokens - less)}
        answer = post(
            before, command, now=self.now, fence=before.fence - stale, actual=actual, units=UNITS
        )
        if isinstance(answer, Posting):
            assert not stale
            assert not before.state.final or command is Command.TRUE_UP
            self.entries[name] = answer.entry
            self.apply(answer.deltas)

    @rule(pick=PICKS, less=LESS)
    def send_and_settle(self, pick: int, less: int) -> None:
        if self.entries:
            name = list(self.entries)[-1 - pick % len(self.entries)]
            self.command(name, Command.MARK_SENT, 0, 0)
            self.command(name, Command.SETTLE, 0, less)

    @rule(late=st.sampled_from([0.0, 10.0, 60.0]), less=LESS)
    def send_and_hear_late(self, late: float, less: int) -> None:
        if self.entries:
            name = list(self.entries)[-1]
            self.command(name, Command.MARK_SENT, 0, 0)
            self.wait(31.0)
            self.command(name, Command.EXPIRE, 0, 0)
            self.wait(late)
            self.command(name, Command.TRUE_UP, 0, less)

    @rule(pick=PICKS)
    def change_hands(self, pick: int) -> None:
        is_open = [name for name, entry in self.entries.items() if not entry.state.final]
        if is_open:
            name = is_open[pick % len(is_open)]
            self.entries[name] = take_over(self.entries[name], self.now, 30.0)

    @rule(seconds=st.sampled_from([0.5, 5.0, 31.0, 50.0, 200.0, 1_000.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for key, balance in self.books.items():
            if balance.window.closes_at <= self.now:
                self.spent_at_closing.setdefault(key, balance.spent)

    @rule(tier=TIERS)
    def urgent_work_fills_what_nobody_holds(self, tier: Tier) -> None:
        """What is urgent is refused only once less than it wants is left."""
        for _ in range(60):
            known = len(self.entries)
            self.ask(tier, LARGEST, 10)
            if len(self.entries) == known:
                break
            self.command(f"요청-{known}", Command.MARK_SENT, 0, 0)
            self.command(f"요청-{known}", Command.SETTLE, 0, 0)
        concerned = [b for b in self.balances() if b.limit.applies_to(tier)]
        wanted = {Unit.MESSAGES: 1, Unit.TOKENS: LARGEST}
        assert any(b.room < wanted[b.limit.unit] for b in concerned)

    @invariant()
    def nothing_is_over_its_limit(self) -> None:
        for balance in self.books.values():
            assert min(balance.spent, balance.held, balance.breach) >= 0
            assert balance.spent + balance.held <= balance.limit.cap + balance.breach

    @invariant()
    def the_books_are_the_sum_of_the_entries(self) -> None:
        sums: dict[Key, list[int]] = defaultdict(lambda: [0, 0, 0])
        for entry in self.entries.values():
            for line in entry.lines:
                total = sums[line.limit_key, line.opened_at]
                total[0] += line.charged
                total[1] += line.estimate if not entry.state.final else 0
                total[2] += max(0, line.charged - line.estimate)
        for key, balance in self.books.items():
            assert [balance.spent, balance.held, balance.breach] == sums[key]

    @invariant()
    def what_was_never_sent_costs_nothing(self) -> None:
        for entry in self.entries.values():
            if entry.state not in (EntryState.SETTLED, EntryState.CHARGED_ESTIMATE):
                assert all(line.charged == 0 for line in entry.lines)

    @invariant()
    def closed_books_only_fill(self) -> None:
        for key, spent in self.spent_at_closing.items():
            assert self.books[key].spent >= spent


TestBooks = BooksMachine.TestCase
TestBooks.settings = settings(max_examples=120, stateful_step_count=40)
