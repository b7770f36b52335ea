"""The ledger's values as rows, and back. A window that never closes has no closing time."""

from collections.abc import Iterable, Sequence
from typing import Any

from helios.domain.budget.ledger import Delta, Entry, EntryState, Line
from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import NEVER, Forever, OpensOnUse, Window
from helios.domain.pricing import Tier
from helios.stores.sql.encoding import to_json

Row = dict[str, Any]

Move = tuple[int, int, int, int | None]
"""What is added to held, spent and breach, and the cap from now on if it changes."""


def closing(stored: float | None) -> float:
    """When a window closes, from its column."""
    return NEVER if stored is None else stored


def window_row(key: str, window: Window) -> Row:
    """A window to insert."""
    return {
        "window_key": key,
        "opened_at": window.opened_at,
        "closes_at": _column(window.closes_at),
    }


def balance_row(balance: Balance) -> Row:
    """Books to insert."""
    limit = balance.limit
    return {
        "limit_key": limit.key,
        "opened_at": balance.window.opened_at,
        "window_key": limit.window_key,
        "label": limit.label,
        "unit": limit.unit.value,
        "cap": limit.cap,
        "spent": balance.spent,
        "held": balance.held,
        "breach": balance.breach,
    }


def cap_to_keep(balance: Balance) -> int:
    """The cap under which books are kept from a new hold on.

    It follows the limit's, but not below what is booked already, which a lowered limit cannot
    undo.
    """
    return max(balance.limit.cap, balance.spent + balance.held - balance.breach)


def move_row(key: str, opened_at: float, move: Move) -> Row:
    """A change to one limit's books."""
    held, spent, breach, cap = move
    return {
        "key": key,
        "opened": opened_at,
        "more_held": held,
        "more_spent": spent,
        "more_breach": breach,
        "new_cap": cap,
    }


def entry_row(entry: Entry) -> Row:
    """An entry to insert."""
    return {
        "request_id": entry.request_id,
        "state": entry.state.value,
        "fence": entry.fence,
        "lease_until": entry.lease_until,
        "tier": entry.tier.value,
        "reason": entry.reason,
    }


def change_row(entry: Entry) -> Row:
    """An entry to update."""
    return {
        "id": entry.request_id,
        "state": entry.state.value,
        "fence": entry.fence,
        "lease_until": entry.lease_until,
        "reason": entry.reason,
    }


def entry_from(request_id: str, columns: Sequence[Any], lines: Iterable[Line]) -> Entry:
    """An entry from its columns: state, fence, lease, tier, reason."""
    state, fence, lease_until, tier, reason = columns
    return Entry(
        request_id, EntryState(state), fence, lease_until, Tier(tier), tuple(lines), reason
    )


def line_row(request_id: str, line: Line) -> Row:
    """A line to insert."""
    return {
        "request_id": request_id,
        "limit_key": line.limit_key,
        "opened_at": line.opened_at,
        "closes_at": _column(line.closes_at),
        "estimate": line.estimate,
        "charged": line.charged,
    }


def line_from(columns: Sequence[Any]) -> Line:
    """A line from its columns: key, opening, closing, estimate, charge."""
    key, opened_at, closes_at, estimate, charged = columns
    return Line(key, opened_at, closing(closes_at), estimate, charged)


def charge_row(request_id: str, limit_key: str, charged: int) -> Row:
    """A line whose charge changed, to update."""
    return {"id": request_id, "key": limit_key, "charged": charged}


def event_row(
    entry: Entry, *, at: float, command: str, before: str, deltas: Iterable[Delta]
) -> Row:
    """What happened to an entry, to append."""
    return {
        "request_id": entry.request_id,
        "at": at,
        "command": command,
        "from_state": before,
        "to_state": entry.state.value,
        "fence": entry.fence,
        "deltas": to_json([_delta(delta) for delta in deltas]),
    }


def past_balance(columns: Sequence[Any]) -> Balance:
    """Books as they were kept; of the limit only what was booked is known, not its rule."""
    key, opened_at, window_key, label, unit, cap, spent, held, breach, closes_at = columns
    window = Window(opened_at, closing(closes_at))
    rule = Forever() if closes_at is None else OpensOnUse(closes_at - opened_at)
    limit = Limit(
        key=key, unit=Unit(unit), cap=cap, window=rule, window_key=window_key, label=label
    )
    return Balance(limit, window, spent, held, breach)


def _column(closes_at: float) -> float | None:
    return None if closes_at == NEVER else closes_at


def _delta(delta: Delta) -> Row:
    amounts = {"held": delta.held, "spent": delta.spent, "breach": delta.breach}
    changed = {name: amount for name, amount in amounts.items() if amount}
    return {"limit": delta.limit_key, "opened_at": delta.opened_at, **changed}
