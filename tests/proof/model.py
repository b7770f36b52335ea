"""What the ledger promises, without a database: dictionaries, and every sum added up anew."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import NEVER, Anchored, Forever, OpensOnUse
from helios.domain.pricing import Tier
from tests.proof.books import Tables

LEASE_S = 30.0
SHORT_S = 50.0
SPAN_S = 100.0
TENANTS = ("가", "나")
URGENT = 8

SHARED = (
    Limit("plan/tokens", Unit.TOKENS, 60, OpensOnUse(SHORT_S), "plan", "plan", zoned=True),
    Limit("plan/messages", Unit.MESSAGES, 5, OpensOnUse(SHORT_S), "plan", "messages"),
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
OWN = {
    tenant: Limit(f"{tenant}/tokens", Unit.TOKENS, 150, Forever(), f"{tenant}/all", tenant)
    for tenant in TENANTS
}
LIMITS = {limit.key: limit for limit in (*SHARED, *OWN.values())}


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
    """Every act answers whether it is allowed, and is done if it is."""

    now: float = 0.0
    entries: dict[str, ModelEntry] = field(default_factory=dict)
    windows: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def window(self, limit: Limit, now: float) -> tuple[float, float]:
        known = self.windows.get(limit.window_key)
        if known and now < known[-1][1]:
            return known[-1]
        if isinstance(limit.window, Forever):
            return now, NEVER
        if isinstance(limit.window, OpensOnUse):
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
            if not limit.tiers or tier in limit.tiers
        }

    def fits(self, wanted: dict[str, int]) -> bool:
        return all(
            sum(self.books(LIMITS[key], self.now)[:2]) + amount <= LIMITS[key].cap
            for key, amount in wanted.items()
        )

    def passes(self, wanted: dict[str, int], tier: Tier, priority: int) -> bool:
        """Whether the zones let it through."""
        zoned = [LIMITS[key] for key in wanted if LIMITS[key].zoned]
        used = [sum(self.books(limit, self.now)[:2]) / limit.cap for limit in zoned]
        for share in used:
            is_too_full = share > 0.95 or (share >= 0.80 and tier is Tier.STRONG)
            if is_too_full and priority < URGENT:
                return False
        return True

    def reserve(
        self, request_id: str, wanted: dict[str, int], tier: Tier, priority: int, *, sends: bool
    ) -> bool:
        known = self.entries.get(request_id)
        if known or not (self.fits(wanted) and self.passes(wanted, tier, priority)):
            self.close_expired()
        if known:
            return known.is_open
        if not (self.fits(wanted) and self.passes(wanted, tier, priority)):
            return False
        lines = {}
        for key, amount in wanted.items():
            window = self.window(LIMITS[key], self.now)
            kept = self.windows.setdefault(LIMITS[key].window_key, [])
            if window not in kept:
                kept.append(window)
            lines[key] = ModelLine(*window, amount)
        state = "sent" if sends else "held"
        self.entries[request_id] = ModelEntry(self.now + LEASE_S, lines, state)
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

    def charge_unknown(self, request_id: str) -> bool:
        entry = self.entries.get(request_id)
        if entry:
            self.close_unknown(entry)
        return entry is not None


def differences(
    model: Model, now: float, tables: Tables, balances: Iterable[Balance]
) -> Iterator[str]:
    """Everything that is not exactly as in the model."""
    stored = {
        row["request_id"]: (row["state"], row["fence"], row["lease_until"])
        for row in tables["ledger_entries"]
    }
    entries = model.entries
    known = {name: (e.state, e.fence, e.lease_until) for name, e in entries.items()}
    if stored != known:
        yield f"{stored} != {known}"
    charges = {
        (row["request_id"], row["limit_key"]): (row["opened_at"], row["charged"])
        for row in tables["ledger_lines"]
    }
    lines = {(n, key): line for n, entry in entries.items() for key, line in entry.lines.items()}
    modelled = {place: (line.opened_at, line.charged) for place, line in lines.items()}
    if charges != modelled:
        yield f"{charges} != {modelled}"
    for b in balances:
        seen = (b.spent, b.held, b.breach), (b.window.opened_at, b.window.closes_at)
        expected = model.books(b.limit, now), model.window(b.limit, now)
        if seen != expected:
            yield f"{b.limit.key}: {seen} != {expected}"
