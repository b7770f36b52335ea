"""The ledger's statements, built once. Those that depend on a number of keys are kept by number."""

from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    Double,
    Select,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from helios.stores.sql.schema import (
    OPEN,
    ledger_balances,
    ledger_clock,
    ledger_entries,
    ledger_events,
    ledger_lines,
    ledger_windows,
)


class DatabaseTime(FunctionElement[float]):
    """The database's own clock now, not when the transaction began."""

    type = Double()
    inherit_cache = True


@compiles(DatabaseTime, "sqlite")
def _sqlite_time(_element: DatabaseTime, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(DatabaseTime, "postgresql")
def _postgresql_time(_element: DatabaseTime, _compiler: Any, **_options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"


_clock, _entries, _lines = ledger_clock.c, ledger_entries.c, ledger_lines.c
_windows, _balances = ledger_windows.c, ledger_balances.c

TIME = select(_clock.latest, DatabaseTime())

LOOK = (
    select(
        _clock.latest,
        DatabaseTime(),
        _entries.state,
        _entries.fence,
        _entries.lease_until,
        _entries.tier,
        _entries.reason,
        _lines.limit_key,
        _lines.opened_at,
        _lines.closes_at,
        _lines.estimate,
        _lines.charged,
        _balances.unit,
    )
    .select_from(
        ledger_clock.outerjoin(ledger_entries, _entries.request_id == bindparam("request_id"))
        .outerjoin(ledger_lines, _lines.request_id == _entries.request_id)
        .outerjoin(
            ledger_balances,
            and_(_balances.limit_key == _lines.limit_key, _balances.opened_at == _lines.opened_at),
        )
    )
    .order_by(_lines.limit_key)
)
"""The time, and one entry with its lines: a row a line, at least one."""

LOCK_ENTRY = (
    select(_entries.fence)
    .where(_entries.request_id == bindparam("request_id"))
    .with_for_update(key_share=True)
)

IS_ANY_EXPIRED = select(
    select(_entries.fence).where(OPEN, _entries.lease_until <= bindparam("now")).exists()
)

EXPIRED = (
    select(
        _entries.request_id,
        _entries.state,
        _entries.fence,
        _entries.lease_until,
        _entries.tier,
        _entries.reason,
    )
    .where(OPEN, _entries.lease_until <= bindparam("now"))
    .order_by(_entries.lease_until)
    .limit(bindparam("most"))
    .with_for_update(key_share=True, skip_locked=True)
)
"""Entries that another transaction is closing are left to it."""

LINES = (
    select(ledger_lines)
    .where(_lines.request_id.in_(bindparam("request_ids", expanding=True)))
    .order_by(_lines.request_id, _lines.limit_key)
)

LOCK_BALANCES = (
    select(_balances.held)
    .where(
        tuple_(_balances.limit_key, _balances.opened_at).in_(bindparam("places", expanding=True))
    )
    .order_by(_balances.limit_key, _balances.opened_at)
    .with_for_update(key_share=True)
)

LOCK_WINDOWS = text("SELECT pg_advisory_xact_lock(:number)").bindparams(number=0x48454C57494E)
"""Held by who opens a window, so that two do not open the same one at different times."""

HISTORY = (
    select(
        _balances.limit_key,
        _balances.opened_at,
        _balances.window_key,
        _balances.label,
        _balances.unit,
        _balances.cap,
        _balances.spent,
        _balances.held,
        _balances.breach,
        _windows.closes_at,
    )
    .select_from(ledger_balances.join(ledger_windows))
    .where(_balances.limit_key == bindparam("limit_key"))
    .order_by(_balances.opened_at.desc())
    .limit(bindparam("most"))
)

KEEP_TIME = (
    update(ledger_clock).where(_clock.latest < bindparam("now")).values(latest=bindparam("now"))
)

OPEN_WINDOW = insert(ledger_windows)
OPEN_BALANCE = insert(ledger_balances)
ADD_ENTRY = insert(ledger_entries)
ADD_LINES = insert(ledger_lines)
ADD_EVENT = insert(ledger_events).inline()

CHANGE_ENTRY = (
    update(ledger_entries)
    .where(_entries.request_id == bindparam("id"))
    .values(
        state=bindparam("state"),
        fence=bindparam("fence"),
        lease_until=bindparam("lease_until"),
        reason=bindparam("reason"),
    )
)

CHARGE_LINE = (
    update(ledger_lines)
    .where(_lines.request_id == bindparam("id"), _lines.limit_key == bindparam("key"))
    .values(charged=bindparam("charged"))
)

_THIS_BALANCE = and_(
    _balances.limit_key == bindparam("key"), _balances.opened_at == bindparam("opened")
)

HOLD = (
    update(ledger_balances)
    .where(_THIS_BALANCE)
    .values(held=_balances.held + bindparam("more_held"), cap=bindparam("new_cap"))
)

MOVE = (
    update(ledger_balances)
    .where(_THIS_BALANCE)
    .values(
        held=_balances.held + bindparam("more_held"),
        spent=_balances.spent + bindparam("more_spent"),
        breach=_balances.breach + bindparam("more_breach"),
    )
)


@lru_cache(maxsize=64)
def newest_windows(count: int) -> Select[Any]:
    """The newest window of each of `count` keys, bound as k0, k1, ..."""
    older = ledger_windows.alias("older")
    newest = (
        select(func.max(older.c.opened_at))
        .where(older.c.window_key == _windows.window_key)
        .scalar_subquery()
    )
    keys: list[BindParameter[str]] = [bindparam(f"k{n}") for n in range(count)]
    return select(_windows.window_key, _windows.opened_at, _windows.closes_at).where(
        _windows.window_key.in_(keys), _windows.opened_at == newest
    )


@lru_cache(maxsize=64)
def balances(count: int, *, lock: bool) -> Select[Any]:
    """The books of `count` limits in given windows, bound as k0, o0, k1, o1, ..."""
    places = [
        and_(_balances.limit_key == bindparam(f"k{n}"), _balances.opened_at == bindparam(f"o{n}"))
        for n in range(count)
    ]
    found = select(_balances.limit_key, _balances.spent, _balances.held, _balances.breach).where(
        or_(*places)
    )
    if not lock:
        return found
    return found.order_by(_balances.limit_key, _balances.opened_at).with_for_update(key_share=True)
