"""The ledger's rules: what may happen to a reservation, and what that does to the books.

The table below is the whole state machine; `post` turns one command into the new entry and the
changes to the balances, or into a refusal. A store only has to apply the answer atomically.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.units import Amounts, Unit, show
from helios.domain.budget.window import NEVER
from helios.domain.budget.zones import Thresholds, Zone, may_pass, stricter, zone_of
from helios.domain.pricing import Tier


class EntryState(StrEnum):
    """Where a request stands."""

    HELD = "held"
    SENT = "sent"
    SETTLED = "settled"
    RELEASED = "released"
    CHARGED_ESTIMATE = "charged-estimate"
    DENIED = "denied"

    @property
    def final(self) -> bool:
        """Nothing changes a final state, but for one true-up downwards of a charged estimate."""
        return self not in (EntryState.HELD, EntryState.SENT)


class Command(StrEnum):
    """What can be asked of an entry."""

    MARK_SENT = "mark-sent"
    SETTLE = "settle"
    RELEASE = "release"
    PROVE_UNBILLED = "prove-unbilled"
    EXPIRE = "expire"
    TRUE_UP = "true-up"


TRANSITIONS: Mapping[tuple[EntryState, Command], EntryState] = {
    (EntryState.HELD, Command.MARK_SENT): EntryState.SENT,
    (EntryState.HELD, Command.RELEASE): EntryState.RELEASED,
    (EntryState.HELD, Command.EXPIRE): EntryState.RELEASED,
    (EntryState.SENT, Command.SETTLE): EntryState.SETTLED,
    (EntryState.SENT, Command.PROVE_UNBILLED): EntryState.RELEASED,
    (EntryState.SENT, Command.EXPIRE): EntryState.CHARGED_ESTIMATE,
    (EntryState.CHARGED_ESTIMATE, Command.TRUE_UP): EntryState.SETTLED,
}


BRAKE = "throttle"
"""What binds a request that no limit refuses but a brake set by hand."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one reservation holds on one limit, in the window it was reserved in."""

    limit_key: str
    opened_at: float
    closes_at: float
    estimate: int
    charged: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One request in the books.

    `fence` grows with every take-over; a caller that comes with an older fence has lost the
    entry. `lease_until` is a time by the ledger's clock, in seconds.
    """

    request_id: str
    state: EntryState
    fence: int
    lease_until: float
    tier: Tier
    lines: tuple[Line, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Delta:
    """The change to one limit's books in one window."""

    limit_key: str
    opened_at: float
    held: int = 0
    spent: int = 0
    breach: int = 0


@dataclass(frozen=True, slots=True)
class Posting:
    """The outcome of a command: the entry as it is now, and what changed."""

    entry: Entry
    deltas: tuple[Delta, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The command does not apply; nothing changes."""

    entry: Entry
    reason: str


@dataclass(frozen=True, slots=True)
class Request:
    """A wish to spend: upper bounds in every unit, for a model of a tier.

    `floor` is the zone it is judged by at least: a brake set by hand. With `sends` the first byte
    goes out as soon as it is granted: the entry is SENT at once, so that one durable commit before
    the call is enough. A repeat is answered with the entry as it stands and is no leave to send
    again: such an id belongs to one caller.
    """

    request_id: str
    tier: Tier
    estimate: Amounts
    priority: int = 5
    lease_s: float = 120.0
    floor: Zone = Zone.NORMAL
    sends: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a request was admitted, and why.

    `resets_at` is when the binding window closes (infinite when no reset helps); `waits` says that
    room is only held, so that waiting for a settlement may be enough; `short` that room is what is
    missing, so that a smaller estimate may fit. Of several limits that refuse, the binding one is
    the first that leaves no hope, else the first.
    """

    granted: bool
    zone: Zone
    reason: str
    binding: str = ""
    resets_at: float | None = None
    waits: bool = False
    entry: Entry | None = None
    deltas: tuple[Delta, ...] = field(default=())
    short: bool = False

    @property
    def hopeless(self) -> bool:
        """Whether nothing but a higher limit helps such a request: no time, no end of another."""
        if self.granted or self.waits or self.binding == BRAKE:
            return False
        return self.resets_at in (None, NEVER)

    def smaller_may_fit(self, limits: tuple[Limit, ...]) -> bool:
        """Whether room is what is missing, in a unit that a smaller call takes less of."""
        units = {limit.key: limit.unit for limit in limits}
        return self.short and units.get(self.binding) is not Unit.MESSAGES


def admit(request: Request, balances: tuple[Balance, ...], now: float) -> Admission:
    """Reserve on every limit that applies, or on none; with `request.sends`, mark it sent too.

    Args:
        request: what is asked for.
        balances: the books of every limit of the caller, in their current windows.
        now: the ledger's time; the lease runs from here.
    """
    concerned = [b for b in balances if b.limit.applies_to(request.tier)]
    zone = request.floor
    for balance in balances:
        if balance.limit.zoned:
            zone = stricter(zone, zone_of(balance.used, balance.limit.thresholds))
    braked = _braked(request)
    if braked:
        return braked
    refusals = [found for b in concerned if (found := _refusal(request, b, zone))]
    if refusals:
        return next((found for found in refusals if found.hopeless), refusals[0])
    lines = tuple(
        Line(b.limit.key, b.window.opened_at, b.window.closes_at, wanted)
        for b in concerned
        if (wanted := b.limit.share_of(request.estimate, request.tier)) > 0
    )
    state = TRANSITIONS[EntryState.HELD, Command.MARK_SENT] if request.sends else EntryState.HELD
    entry = Entry(request.request_id, state, 1, now + request.lease_s, request.tier, lines)
    deltas = tuple(Delta(line.limit_key, line.opened_at, held=line.estimate) for line in lines)
    return Admission(
        granted=True, zone=zone, reason=_granted_reason(concerned, zone), entry=entry, deltas=deltas
    )


def record(request: Request, balances: tuple[Balance, ...]) -> Posting:
    """Book what was spent without having been asked for: in full, beyond the room as a breach."""
    lines: list[Line] = []
    deltas: list[Delta] = []
    for balance in balances:
        limit, window = balance.limit, balance.window
        spent = limit.share_of(request.estimate, request.tier)
        if spent:
            held = min(spent, balance.room)
            lines.append(Line(limit.key, window.opened_at, window.closes_at, held, spent))
            deltas.append(Delta(limit.key, window.opened_at, spent=spent, breach=spent - held))
    entry = Entry(request.request_id, EntryState.SETTLED, 1, 0.0, request.tier, tuple(lines))
    return Posting(entry, tuple(deltas))


def _braked(request: Request) -> Admission | None:
    """The refusal by a brake alone, which holds where no limit is zoned too."""
    if request.floor is Zone.NORMAL:
        return None
    passed = may_pass(
        0.0,
        priority=request.priority,
        tier=request.tier,
        thresholds=Thresholds(),
        floor=request.floor,
    )
    if passed.allowed:
        return None
    return Admission(granted=False, zone=passed.zone, reason=passed.reason, binding=BRAKE)


def _refusal(request: Request, balance: Balance, zone: Zone) -> Admission | None:
    limit = balance.limit
    wanted = limit.share_of(request.estimate, request.tier)
    if wanted > balance.room:
        held_is_enough = wanted <= limit.cap - balance.spent
        # One that was lowered will be larger.
        is_too_large = wanted > limit.cap and limit.lowered is None
        return Admission(
            granted=False,
            zone=zone,
            reason=_no_room(limit, balance, wanted),
            binding=limit.key,
            resets_at=NEVER if is_too_large else balance.has_room_at,
            waits=held_is_enough,
            short=True,
        )
    if limit.zoned:
        passed = may_pass(
            balance.used,
            priority=request.priority,
            tier=request.tier,
            thresholds=limit.thresholds,
        )
        if not passed.allowed:
            return Admission(
                granted=False,
                zone=passed.zone,
                reason=f"{limit.label}: {passed.reason}",
                binding=limit.key,
                resets_at=balance.window.closes_at,
                waits=balance.held > 0,
            )
    return None


def _no_room(limit: Limit, balance: Balance, wanted: int) -> str:
    parts = f"{show(limit.unit, balance.spent)} spent"
    if balance.held:
        parts += f" and {show(limit.unit, balance.held)} held"
    return (
        f"{limit.label}: needs {show(limit.unit, wanted)}, {show(limit.unit, balance.room)} left "
        f"({parts} of {show(limit.unit, limit.cap)})"
        + (f": {limit.lowered.because}" if limit.lowered else "")
    )


def _granted_reason(concerned: list[Balance], zone: Zone) -> str:
    if not concerned:
        return "no limit applies"
    tightest = max(concerned, key=lambda b: b.used)
    return f"fits: {tightest.limit.label} at {tightest.used:.0%}, zone {zone}"


def post(
    entry: Entry,
    command: Command,
    *,
    now: float,
    fence: int | None = None,
    actual: Amounts | None = None,
    units: Mapping[str, str] | None = None,
) -> Posting | Refusal:
    """Apply a command to an entry.

    Args:
        entry: the entry as it stands.
        command: what is asked.
        now: the ledger's time.
        fence: the caller's fence; None for the ledger's own sweep.
        actual: what the provider reported, for SETTLE and TRUE_UP; a unit it does not tell is
            charged at its estimate.
        units: the unit of each limit key, needed with `actual`.
    """
    target = TRANSITIONS.get((entry.state, command))
    if target is None:
        return Refusal(entry, f"{entry.request_id} is {entry.state}: {command} does not apply")
    if fence is not None and fence != entry.fence:
        return Refusal(
            entry, f"{entry.request_id} was taken over (fence {entry.fence}, yours {fence})"
        )
    refusal = _too_soon_or_late(entry, command, now)
    if refusal:
        return Refusal(entry, refusal)
    amounts = {str(unit): amount for unit, amount in (actual or {}).items()}
    lines: list[Line] = []
    deltas: list[Delta] = []
    for line in entry.lines:
        charged, delta = _move(
            line,
            entry.state,
            target,
            amounts.get((units or {}).get(line.limit_key, ""), line.estimate),
        )
        lines.append(replace(line, charged=charged))
        if delta:
            deltas.append(delta)
    return Posting(replace(entry, state=target, lines=tuple(lines)), tuple(deltas))


def _too_soon_or_late(entry: Entry, command: Command, now: float) -> str:
    if command is Command.MARK_SENT:
        if now >= entry.lease_until:
            return f"the lease of {entry.request_id} is over"
        if any(now >= line.closes_at for line in entry.lines):
            return f"the window {entry.request_id} was reserved in has closed"
    if command is Command.EXPIRE and now < entry.lease_until:
        return f"the lease of {entry.request_id} still runs"
    if command is Command.TRUE_UP and any(now >= line.closes_at for line in entry.lines):
        return f"the window of {entry.request_id} has closed: its books stand"
    return ""


def _move(line: Line, old: EntryState, new: EntryState, actual: int) -> tuple[int, Delta | None]:
    """What moving between two states does to one line: the amount charged and the change."""
    key, window = line.limit_key, line.opened_at
    if new is EntryState.SENT:
        return 0, None
    if new is EntryState.RELEASED:
        return 0, Delta(key, window, held=-line.estimate)
    if new is EntryState.CHARGED_ESTIMATE:
        return line.estimate, Delta(key, window, held=-line.estimate, spent=line.estimate)
    if old is EntryState.CHARGED_ESTIMATE:
        charged = min(actual, line.charged)
        return charged, Delta(key, window, spent=charged - line.charged)
    over = max(0, actual - line.estimate)
    return actual, Delta(key, window, held=-line.estimate, spent=actual, breach=over)


def take_over(entry: Entry, now: float, lease_s: float) -> Entry:
    """A new owner of the same request: a higher fence and a fresh lease, the same hold."""
    return replace(entry, fence=entry.fence + 1, lease_until=max(entry.lease_until, now + lease_s))
