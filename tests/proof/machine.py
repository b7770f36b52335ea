"""The real ledger under any order of events, next to the model and the provider's own meter."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from helios.domain.budget.ledger import Admission, Request
from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.pricing import Tier
from helios.errors import ReservationLost, StoreError
from helios.stores.sql.database import Database, open_database
from helios.stores.sql.ledger import SqlLedger
from helios.testing.clock import MovableClock
from tests.proof.books import BooksCheck, Broken
from tests.proof.draws import ACTS, BILLS, BOTH, JUMPS, LESS, PICKS, SHARES, STALE, TOKENS, WAITS
from tests.proof.model import LEASE_S, LIMITS, OWN, SHARED, TENANTS, Model, differences
from tests.proof.watch import Watch


@dataclass(frozen=True)
class Place:
    """An empty database, and how to remove it."""

    url: str
    remove: Callable[[], None]


class LedgerMachine(RuleBasedStateMachine):
    """Every act is done to the ledger and to the model; then the invariants are looked at.

    With `only`, nothing but that invariant may complain: a planted bug must be found by the
    check that was made for it.
    """

    empty: ClassVar[Callable[[], Place]]
    kind: ClassVar[type[SqlLedger]] = SqlLedger
    only: ClassVar[int | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.place = type(self).empty()
        self.runner = asyncio.Runner()
        self.clock = MovableClock()
        self.model = Model()
        self.tables = BooksCheck(self.place.url)
        self.watch = Watch(self.expect)
        self.actor: str | None = None
        self.demands = 0
        self._open()

    def _open(self) -> None:
        self.database: Database = open_database(self.place.url, durable=False)
        self.ledger = type(self).kind(self.database, self.clock)

    def teardown(self) -> None:
        self.runner.run(self.database.close())
        self.runner.close()
        self.tables.close()
        self.place.remove()

    def expect(self, number: int, holds: bool, what: object) -> None:
        if not holds and self.only in (None, number):
            raise Broken(number, str(what))

    def broken(self, number: int, what: object) -> None:
        self.expect(number, holds=False, what=what)

    def act(self, request_id: str, asked: Any) -> Any:
        """What the ledger answers; None for a refusal."""
        self.actor = request_id.partition("/")[0]
        try:
            return self.runner.run(asked)
        except ReservationLost:
            return None
        except StoreError as error:
            is_cap = "within_cap" in error.message
            self.broken(1 if is_cap else 2, f"only SQL's own check stopped it: {error}")
            return None

    def tick(self) -> None:
        self.model.now = max(self.model.now, self.clock.now())

    def pick(self, tenant: str, number: int) -> str:
        """Mostly an open entry, because that is where things can go wrong."""
        known = [n for n, entry in self.model.entries.items() if n.startswith(tenant)]
        is_open = [name for name in known if self.model.entries[name].is_open]
        if number < 13 and is_open:
            return is_open[number % len(is_open)]
        return known[number % len(known)] if number < 18 and known else f"{tenant}/요청-{number}"

    def fence(self, request_id: str, stale: int) -> int:
        entry = self.model.entries.get(request_id)
        return (entry.fence if entry else 1) - stale

    def ask(
        self,
        request_id: str,
        limits: list[Limit],
        tokens: int,
        tier: Tier,
        priority: int,
        *,
        sends: bool = False,
    ) -> Admission | None:
        self.tick()
        wanted = self.model.wanted(limits, tier, tokens)
        known = request_id in self.model.entries
        room, zone = self.model.fits(wanted), self.model.passes(wanted, tier, priority)
        expected = self.model.reserve(request_id, wanted, tier, priority, sends=sends)
        estimate = {Unit.TOKENS: tokens, Unit.MESSAGES: 1}
        request = Request(request_id, tier, estimate, priority, LEASE_S, sends=sends)
        admission: Admission | None = self.act(request_id, self.ledger.reserve(request, limits))
        granted = admission is not None and admission.granted
        self.watch.asked(request_id, wanted, granted=granted)
        if granted and not expected:
            self.expect(1, room or known, f"{request_id} was admitted without room")
            self.expect(17, zone or known, f"{request_id} was admitted in a closed zone")
            self.broken(0, f"{request_id} was admitted")
        if expected and not granted:
            why = admission.reason if admission else "refused"
            self.broken(4 if known else 15, f"{request_id} was refused: {why}")
        return admission if granted else None

    def do_mark_sent(self, request_id: str, fence: int, bill: int) -> None:
        self.tick()
        before = self.tables.entry(request_id)
        expected = self.model.mark_sent(request_id, fence)
        done = self.act(request_id, self.ledger.mark_sent(request_id, fence))
        if done is not None:
            self.may_send(request_id, fence, before)
            self.watch.sent(request_id, bill)
        self.expect(0, (done is not None) == expected, f"mark_sent {request_id} {done}")

    def may_send(self, request_id: str, fence: int, before: Any) -> None:
        """The gate lets a call out only with a live fence, a live lease and a durable row."""
        after = self.tables.entry(request_id)
        self.expect(6, bool(after) and after["state"] == "sent", f"{after} was sent")
        self.expect(6, not self.watch.was_sent(request_id), f"{request_id} was sent twice")
        if before:
            went_back = self.clock.now() < self.model.now
            self.expect(6, before["fence"] == fence, f"{before} was sent by fence {fence}")
            alive = self.model.now < before["lease_until"]
            self.expect(11 if went_back else 6, alive, f"{before} was sent after its lease")

    def do_settle(self, request_id: str, fence: int, tokens: int, *, twice: bool) -> None:
        self.tick()
        billed = self.watch.meter.get(request_id, tokens)
        actual = {Unit.TOKENS: billed, Unit.MESSAGES: 1}
        expected = self.model.settle(request_id, fence, billed)
        done = self.act(request_id, self.ledger.settle(request_id, fence, actual))
        self.expect(0, (done is not None) == expected, f"settle {request_id} {done}")
        if twice:
            again = self.act(request_id, self.ledger.settle(request_id, fence, actual))
            self.expect(4, again == done, f"{request_id} settled: {done}, again: {again}")

    @rule(
        tenant=BOTH,
        number=st.integers(0, 11),
        tier=st.sampled_from([Tier.STANDARD, Tier.STRONG]),
        tokens=st.integers(1, 45),
        shares=SHARES,
        priority=st.sampled_from([5, 5, 9]),
        twice=st.booleans(),
    )
    def reserve(
        self,
        tenant: str,
        number: int,
        tier: Tier,
        tokens: int,
        shares: set[Limit],
        priority: int,
        twice: bool,
    ) -> None:
        request_id = f"{tenant}/요청-{number}"
        limits = [OWN[tenant], *sorted(shares, key=lambda limit: limit.key, reverse=True)]
        first = self.ask(request_id, limits, tokens, tier, priority)
        if twice and first:
            again = self.ask(request_id, limits, tokens, tier, priority)
            same = again is not None and again.entry == first.entry
            self.expect(4, same, f"{request_id}: {first}, again: {again}")

    @rule(tenant=BOTH, number=PICKS, stale=STALE, bill=BILLS)
    def mark_sent(self, tenant: str, number: int, stale: int, bill: str) -> None:
        request_id = self.pick(tenant, number)
        entry = self.model.entries.get(request_id)
        estimate = entry.lines[OWN[tenant].key].estimate if entry else 0
        amount = {"all": estimate, "part": estimate // 2, "nothing": 0, "over": estimate + 10}
        self.do_mark_sent(request_id, self.fence(request_id, stale), amount[bill])

    @rule(tenant=BOTH, number=PICKS, stale=STALE, tokens=st.integers(0, 60), twice=st.booleans())
    def settle(self, tenant: str, number: int, stale: int, tokens: int, twice: bool) -> None:
        request_id = self.pick(tenant, number)
        self.do_settle(request_id, self.fence(request_id, stale), tokens, twice=twice)

    @rule(tenant=BOTH, number=PICKS, stale=STALE, proof=st.booleans(), twice=st.booleans())
    def release(self, tenant: str, number: int, stale: int, proof: bool, twice: bool) -> None:
        request_id = self.pick(tenant, number)
        self.do_release(request_id, self.fence(request_id, stale), proof=proof, twice=twice)

    def do_release(self, request_id: str, fence: int, *, proof: bool, twice: bool) -> None:
        self.tick()
        unbilled = proof and not self.watch.meter.get(request_id)
        expected = self.model.release(request_id, fence, unbilled=unbilled)
        done = self.act(request_id, self.ledger.release(request_id, fence, unbilled=unbilled))
        self.expect(0, (done is not None) == expected, f"release {request_id} {done}")
        if twice:
            again = self.act(request_id, self.ledger.release(request_id, fence, unbilled=unbilled))
            self.expect(4, again == done, f"{request_id} released: {done}, again: {again}")

    @rule(tenant=BOTH, number=PICKS)
    def take_over(self, tenant: str, number: int) -> None:
        self.do_take_over(self.pick(tenant, number))

    def do_take_over(self, request_id: str) -> None:
        self.tick()
        expected = self.model.take_over(request_id)
        done = self.act(request_id, self.ledger.take_over(request_id, LEASE_S))
        self.expect(0, (done is not None) == expected, f"take_over {request_id} {done}")

    @rule(tenant=BOTH, number=PICKS)
    def charge_unknown(self, tenant: str, number: int) -> None:
        self.tick()
        request_id = self.pick(tenant, number)
        expected = self.model.charge_unknown(request_id)
        done = self.act(request_id, self.ledger.charge_unknown(request_id))
        self.expect(0, (done is not None) == expected, f"charge_unknown {request_id} {done}")

    def send_new(self, tenant: str, tokens: int, bill: int, *, at_once: bool) -> str | None:
        """A new request, admitted and sent, in one commit or in two."""
        self.demands += 1
        request_id = f"{tenant}/수요-{self.demands}"
        limits = [SHARED[0], OWN[tenant]]
        if not self.ask(request_id, limits, tokens, Tier.STANDARD, 10, sends=at_once):
            return None
        if at_once:
            self.was_sent_at_once(request_id, bill)
        else:
            self.do_mark_sent(request_id, 1, bill)
        return request_id

    def was_sent_at_once(self, request_id: str, bill: int) -> None:
        self.may_send(request_id, 1, None)
        self.watch.sent(request_id, bill)

    @rule(tenant=BOTH, tokens=TOKENS, less=LESS, acts=ACTS, at_once=st.booleans())
    def one_request(
        self, tenant: str, tokens: int, less: int, acts: list[str], at_once: bool
    ) -> None:
        self.follow(tenant, tokens, max(0, tokens - less), acts, at_once=at_once)

    @rule(tenant=BOTH, acts=st.permutations(["release", "mark_sent", "old_fence", "take_over"]))
    def one_owner(self, tenant: str, acts: list[str]) -> None:
        self.follow(tenant, 2, 2, acts)

    def follow(
        self, tenant: str, tokens: int, bill: int, acts: list[str], *, at_once: bool = False
    ) -> None:
        """A new request, and several things that happen to it at once."""
        self.demands += 1
        request_id = f"{tenant}/하나-{self.demands}"
        limits = [OWN[tenant], SHARED[0]]
        if not self.ask(request_id, limits, tokens, Tier.STANDARD, 9, sends=at_once):
            return
        if at_once:
            self.was_sent_at_once(request_id, bill)
        for act in acts:
            fence = self.fence(request_id, 0)
            match act:
                case "ask":
                    self.ask(request_id, limits, tokens, Tier.STANDARD, 9)
                case "mark_sent":
                    self.do_mark_sent(request_id, fence, bill)
                case "old_fence":
                    self.do_mark_sent(request_id, fence - 1, bill)
                case "settle":
                    self.do_settle(request_id, fence, bill, twice=True)
                case "release":
                    self.do_release(request_id, fence, proof=False, twice=True)
                case "take_over":
                    self.do_take_over(request_id)
                case "open_again":
                    self.open_again()
            self.the_invariants_hold()

    @rule(tenant=BOTH, wait=WAITS, tokens=TOKENS, at_once=st.booleans())
    def hear_late(self, tenant: str, wait: int, tokens: int, at_once: bool) -> None:
        """What was sent is given up, and the reply comes after all, perhaps windows later."""
        request_id = self.send_new(tenant, tokens, tokens // 2, at_once=at_once)
        if request_id:
            self.do_sweep(LEASE_S)
            self.clock.move(wait)
            self.tick()
            self.the_invariants_hold()
            self.do_settle(request_id, 1, 0, twice=False)

    @rule(tokens=st.integers(35, 50))
    def outlive(self, tokens: int) -> None:
        """Who holds much dies; when the lease is over, another asks for as much."""
        for tenant in TENANTS:
            self.demands += 1
            request_id = f"{tenant}/수요-{self.demands}"
            self.ask(request_id, [SHARED[0], OWN[tenant]], tokens, Tier.STANDARD, 10)
            self.clock.move(LEASE_S)
        self.actor = None

    @rule(wait=st.sampled_from([0, 0, LEASE_S]))
    def sweep(self, wait: float) -> None:
        self.do_sweep(wait)

    def do_sweep(self, wait: float) -> None:
        self.clock.move(wait)
        self.tick()
        expected = len(self.model.expired())
        self.model.close_expired()
        closed = self.runner.run(self.ledger.sweep())
        self.actor = None
        for entry in self.tables.read()["ledger_entries"]:
            ended = entry["state"] in ("held", "sent") and entry["lease_until"] <= self.model.now
            self.expect(8, not ended, f"{entry} outlived its lease and a sweep")
        self.expect(0, len(closed) == expected, f"swept {closed}")

    @rule(tenant=BOTH, left=st.integers(0, 2))
    def squeeze(self, tenant: str, left: int) -> None:
        """Urgent work takes all but a little of the plan; then something small comes."""
        plan, limits = SHARED[0], [SHARED[0], OWN[tenant]]
        spent, held, _ = self.model.books(plan, max(self.model.now, self.clock.now()))
        tokens = plan.cap - spent - held - left
        if tokens > 0:  # else nobody asks, and so the ledger has not seen this time
            self.tick()
            self.demands += 1
            self.ask(f"{tenant}/급한-{self.demands}", limits, tokens, Tier.STANDARD, 9)
            self.ask(f"{tenant}/작은-{self.demands}", limits, 1, Tier.STANDARD, 5)

    @rule(tenant=BOTH, tokens=st.sampled_from([7, 11, 20]), less=st.sampled_from([3, 1, 0]))
    def use_up(self, tenant: str, tokens: int, less: int) -> None:
        """While demand remains and nothing is held, it is spent but for less than one request."""
        for name, entry in self.model.entries.items():
            if entry.is_open:
                self.model.charge_unknown(name)
                self.act(name, self.ledger.charge_unknown(name))
        limits = [SHARED[0], OWN[tenant]]
        while request_id := self.send_new(tenant, tokens, tokens - less, at_once=less == 1):
            self.do_settle(request_id, 1, 0, twice=False)
        self.actor = None
        balances = self.runner.run(self.ledger.balances(limits))
        full = [b for b in balances if b.spent > b.limit.cap - tokens]
        self.expect(14, bool(full), f"{balances} with demand for {tokens} left")

    @rule(tenant=BOTH, seconds=st.sampled_from([0, 1, 40, 86_400]))
    def go_back(self, tenant: str, seconds: int) -> None:
        """A lease ends, everybody sees it, and the clock goes back."""
        self.demands += 1
        request_id = f"{tenant}/어제-{self.demands}"
        self.ask(request_id, [OWN[tenant]], 1, Tier.STANDARD, 9)
        self.clock.move(LEASE_S)
        self.tell_the_time()
        self.clock.move(-seconds)
        self.do_mark_sent(request_id, 1, 1)
        self.tell_the_time()

    @rule(seconds=JUMPS)
    def move_clock(self, seconds: int) -> None:
        self.clock.move(seconds)
        self.actor = None

    @rule()
    def tell_the_time(self) -> None:
        self.tick()
        self.actor = None
        told = self.runner.run(self.ledger.now())
        self.expect(11, told == self.model.now, f"{told} although it was {self.model.now}")

    @rule()
    def open_again(self) -> None:
        before = self.tables.read()
        self.runner.run(self.database.close())
        self._open()
        self.runner.run(self.ledger.entry("없음"))
        self.actor = None
        self.expect(12, self.tables.read() == before, "opening the store again changed it")

    @invariant()
    def the_invariants_hold(self) -> None:
        tables = self.tables.read()
        self.watch.look(tables, self.model.now, self.actor)
        if self.only in (None, 0):
            now = max(self.model.now, self.clock.now())
            balances = self.runner.run(self.ledger.balances(list(LIMITS.values())))
            for what in differences(self.model, now, tables, balances):
                self.broken(0, what)
