"""A ledger broken on purpose, once or more for each invariant that it can break.

Number 0 is no invariant but the agreement with the model: such a bug wastes budget or time.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import text

from helios.domain.budget import ledger as rules
from helios.domain.budget.ledger import (
    TRANSITIONS,
    Admission,
    Command,
    Entry,
    EntryState,
    Posting,
    Request,
)
from helios.domain.budget.limit import Limit
from helios.stores.sql import books
from helios.stores.sql.ledger import SqlLedger
from tests.proof.model import OWN, TENANTS

Ledger = type[SqlLedger]
Plant = Callable[[pytest.MonkeyPatch], Ledger]


@dataclass(frozen=True)
class Bug:
    """What breaks which invariant; `plant` answers with the ledger to be tested."""

    number: int
    what: str
    plant: Plant


def _rule(name: str, broken: Callable[..., Any]) -> Plant:
    """The rule of that name is replaced wherever the store uses it."""

    def plant(patch: pytest.MonkeyPatch) -> Ledger:
        right = getattr(rules, name)
        users = [m for n, m in sys.modules.items() if n.startswith("helios.stores.sql")]
        places = [module for module in users if getattr(module, name, None) is right]
        assert places, f"nobody uses the rule {name}"
        for module in places:
            patch.setattr(module, name, broken)
        return SqlLedger

    return plant


def _kind(broken: Ledger) -> Plant:
    return lambda _patch: broken


def _ignoring_what_is_held(request: Any, balances: Any, now: float) -> Admission:
    return rules.admit(request, tuple(replace(b, held=0) for b in balances), now)


class RoundingCapsUp(SqlLedger):
    async def reserve(self, request: Request, limits: Sequence[Limit]) -> Admission:
        raised = [replace(limit, cap=-(-limit.cap // 50) * 50) for limit in limits]
        return await super().reserve(request, raised)


def _freeing_only_what_was_used(entry: Any, command: Command, **options: Any) -> Any:
    done = rules.post(entry, command, **options)
    if command is Command.SETTLE and isinstance(done, Posting):
        deltas = tuple(replace(d, held=max(d.held, -d.spent)) for d in done.deltas)
        return replace(done, deltas=deltas)
    return done


def _charging_half(entry: Any, command: Command, **options: Any) -> Any:
    if command is Command.SETTLE:
        actual = options["actual"]
        options["actual"] = {unit: amount // 2 for unit, amount in actual.items()}
    return rules.post(entry, command, **options)


class BookingARepeatAgain(SqlLedger):
    async def reserve(self, request: Request, limits: Sequence[Limit]) -> Admission:
        if await self.entry(request.request_id):
            request = replace(request, request_id=request.request_id + "#2")
        return await super().reserve(request, limits)


def _reviving_the_released(patch: pytest.MonkeyPatch) -> Ledger:
    patch.setitem(TRANSITIONS, (EntryState.RELEASED, Command.MARK_SENT), EntryState.SENT)  # type: ignore[arg-type]
    return SqlLedger


def _truing_up_upwards(entry: Any, command: Command, **options: Any) -> Any:
    done = rules.post(entry, command, **options)
    if command is Command.TRUE_UP and isinstance(done, Posting):
        lines = tuple(replace(line, charged=line.charged + 1) for line in entry.lines)
        deltas = tuple(replace(delta, spent=1) for delta in done.deltas)
        return Posting(replace(done.entry, lines=lines), deltas)
    return done


def _for_any_fence(entry: Any, command: Command, **options: Any) -> Any:
    return rules.post(entry, command, **{**options, "fence": None})


def _for_ever(entry: Any, command: Command, **options: Any) -> Any:
    is_sweep = command is Command.EXPIRE
    return rules.post(entry, command, **options if is_sweep else {**options, "now": 0.0})


def _charging_the_estimate(entry: Any, command: Command, **options: Any) -> Any:
    if command is Command.SETTLE:
        options["actual"] = None
    return rules.post(entry, command, **options)


class MarkingInMemory(SqlLedger):
    async def mark_sent(self, request_id: str, fence: int) -> Entry:
        entry = await self.entry(request_id)
        if entry and entry.state is EntryState.HELD and entry.fence == fence:
            return replace(entry, state=EntryState.SENT)
        return await super().mark_sent(request_id, fence)


class SendingInMemory(SqlLedger):
    async def reserve(self, request: Request, limits: Sequence[Limit]) -> Admission:
        admission = await super().reserve(replace(request, sends=False), limits)
        if request.sends and admission.entry and admission.granted:
            return replace(admission, entry=replace(admission.entry, state=EntryState.SENT))
        return admission


def _refunding_the_unknown(entry: Any, command: Command, **options: Any) -> Any:
    if command is Command.EXPIRE and entry.state is EntryState.SENT:
        command, options = Command.PROVE_UNBILLED, {**options, "fence": None}
    return rules.post(entry, command, **options)


def _charging_what_was_never_sent(entry: Any, command: Command, **options: Any) -> Any:
    if command is Command.EXPIRE and entry.state is EntryState.HELD:
        entry = replace(entry, state=EntryState.SENT)
    return rules.post(entry, command, **options)


class _Behind:
    """A clock that is ten seconds slow."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock

    def now(self) -> float:
        now: float = self._clock.now()
        return now - 10


class SweepingByAnOldClock(SqlLedger):
    async def sweep(self) -> tuple[Entry, ...]:
        behind: Any = _Behind(self._clock)
        return await SqlLedger(self._database, behind).sweep()


def _asking_the_first_limit_only(request: Any, balances: Any, now: float) -> Admission:
    return rules.admit(request, balances[:1], now)


class KeepingHalfOfARefusal(SqlLedger):
    async def reserve(self, request: Request, limits: Sequence[Limit]) -> Admission:
        admission = await super().reserve(request, limits)
        if not admission.granted and not admission.entry:
            await super().reserve(request, limits[:1])
        return admission


def _truing_up_closed_windows(entry: Any, command: Command, **options: Any) -> Any:
    return rules.post(entry, command, **options | ({"now": 0.0} if command == "true-up" else {}))


class Tampering(SqlLedger):
    async def _tamper(self, statement: str) -> None:
        await self._database.write(lambda connection: connection.execute(text(statement)).close())


class FollowingTheClockBack(Tampering):
    async def mark_sent(self, request_id: str, fence: int) -> Entry:
        await self._tamper("UPDATE ledger_clock SET latest = 0")
        return await super().mark_sent(request_id, fence)

    async def now(self) -> float:
        await self._tamper("UPDATE ledger_clock SET latest = 0")
        return await super().now()


class LosingAnEvent(Tampering):
    async def settle(self, request_id: str, fence: int, actual: Any) -> Entry:
        settled = await super().settle(request_id, fence, actual)
        newest = "SELECT max(seq) FROM ledger_events"
        await self._tamper(f"DELETE FROM ledger_events WHERE seq = ({newest})")
        return settled


class FreeingAllAtTheStart(Tampering):
    _is_started = False

    async def entry(self, request_id: str) -> Entry | None:
        if not self._is_started:
            self._is_started = True
            await self._tamper("UPDATE ledger_balances SET held = 0")
        return await super().entry(request_id)


def _keeping_a_tenth_back(request: Any, balances: Any, now: float) -> Admission:
    less = (replace(b, limit=replace(b.limit, cap=b.limit.cap * 9 // 10)) for b in balances)
    careful = rules.admit(request, tuple(less), now)
    return careful if not careful.granted else rules.admit(request, balances, now)


def _padding_the_estimate(request: Any, balances: Any, now: float) -> Admission:
    padded = {unit: amount * 5 // 4 for unit, amount in request.estimate.items()}
    careful = rules.admit(replace(request, estimate=padded), balances, now)
    return careful if not careful.granted else rules.admit(request, balances, now)


def _leaving_the_dead_their_holds(patch: pytest.MonkeyPatch) -> Ledger:
    patch.setattr(books.Books, "is_any_expired", lambda _self: False)
    return SqlLedger


class ForgettingWhoseKey(SqlLedger):
    async def reserve(self, request: Request, limits: Sequence[Limit]) -> Admission:
        first, others = OWN[TENANTS[0]], [OWN[tenant].key for tenant in TENANTS]
        same = [first if limit.key in others else limit for limit in limits]
        return await super().reserve(request, same)


def _forgetting_the_zones(request: Any, balances: Any, now: float) -> Admission:
    return rules.admit(replace(request, priority=10), balances, now)


PLANTED = (
    Bug(0, "settling forgets the actual", _rule("post", _charging_the_estimate)),
    Bug(1, "what others hold is not counted", _rule("admit", _ignoring_what_is_held)),
    Bug(1, "caps are rounded up", _kind(RoundingCapsUp)),
    Bug(2, "settling frees only what was used", _rule("post", _freeing_only_what_was_used)),
    Bug(3, "half of a reply is charged", _rule("post", _charging_half)),
    Bug(4, "a repeat is booked again", _kind(BookingARepeatAgain)),
    Bug(5, "a released hold comes back", _reviving_the_released),
    Bug(5, "a true-up goes upwards", _rule("post", _truing_up_upwards)),
    Bug(6, "anybody's fence will do", _rule("post", _for_any_fence)),
    Bug(6, "leases and windows never end", _rule("post", _for_ever)),
    Bug(6, "the mark is not durable", _kind(MarkingInMemory)),
    Bug(6, "what is sent at once is only held", _kind(SendingInMemory)),
    Bug(7, "the unknown is refunded", _rule("post", _refunding_the_unknown)),
    Bug(7, "what was never sent is charged", _rule("post", _charging_what_was_never_sent)),
    Bug(8, "the sweep is late", _kind(SweepingByAnOldClock)),
    Bug(9, "only one limit is asked", _rule("admit", _asking_the_first_limit_only)),
    Bug(9, "a refusal keeps its first half", _kind(KeepingHalfOfARefusal)),
    Bug(10, "late evidence reopens a window", _rule("post", _truing_up_closed_windows)),
    Bug(11, "time follows the clock back", _kind(FollowingTheClockBack)),
    Bug(12, "an event is lost", _kind(LosingAnEvent)),
    Bug(12, "a restart frees what is held", _kind(FreeingAllAtTheStart)),
    Bug(14, "a tenth is kept back", _rule("admit", _keeping_a_tenth_back)),
    Bug(15, "the estimate is padded", _rule("admit", _padding_the_estimate)),
    Bug(15, "dead holds refuse the living", _leaving_the_dead_their_holds),
    Bug(16, "one tenant's key for all", _kind(ForgettingWhoseKey)),
    Bug(17, "zones are forgotten", _rule("admit", _forgetting_the_zones)),
)
