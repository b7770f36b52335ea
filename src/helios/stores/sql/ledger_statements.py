"""The ledger's statements, built once. Those that depend on a number of keys are kept by number."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
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

T = TypeVar("T")

ASKED_TOGETHER = 64


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

LOCK_WINDOWS = text(f"SELECT pg_advisory_xact_lock({0x48454C57494E})")
"""Held by who opens a window, so that two do not open the same one at different times."""

CHANNEL = "helios_room"

TELL = text(f"SELECT pg_notify('{CHANNEL}', :sender)")
"""Told to those who listen when the transaction is committed."""

NEWEST_EVENT = text("SELECT coalesce(max(seq), 0) FROM ledger_events")

HAS_FREED = text(
    "SELECT EXISTS (SELECT 1 FROM ledger_events WHERE seq > :since"
    " AND to_state IN ('settled', 'released', 'charged-estimate'))"
)
"""Only for SQLite, where events are numbered in the order in which they are committed."""

NEWS_ON_SQLITE = (
    "SELECT (SELECT coalesce(max(seq), 0) FROM ledger_events), ?1 >= 0 AND EXISTS ("
    "SELECT 1 FROM ledger_events WHERE seq > ?1"
    " AND to_state IN ('settled', 'released', 'charged-estimate'))"
)
"""The newest event, and whether one after a given one made room."""

NEXT_LEASE_END = select(
    _clock.latest,
    DatabaseTime(),
    select(func.min(_entries.lease_until)).where(OPEN).scalar_subquery(),
)

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

MOVE = (
    update(ledger_balances)
    .where(_THIS_BALANCE)
    .values(
        held=_balances.held + bindparam("more_held"),
        spent=_balances.spent + bindparam("more_spent"),
        breach=_balances.breach + bindparam("more_breach"),
        cap=func.coalesce(bindparam("new_cap", type_=BigInteger), _balances.cap),
    )
)


def batches(keys: Iterable[T]) -> Iterator[list[T]]:
    """The keys in order, a few at a time.

    The last one is repeated up to a power of two, so that there are few different statements.
    """
    left = list(keys)
    while left:
        batch, left = left[:ASKED_TOGETHER], left[ASKED_TOGETHER:]
        missing = (1 << (len(batch) - 1).bit_length()) - len(batch)
        yield batch + batch[-1:] * missing


def _numbered(name: str, count: int) -> list[BindParameter[Any]]:
    return [bindparam(f"{name}{n}") for n in range(count)]


@lru_cache(maxsize=64)
def look(count: int) -> Select[Any]:
    """The time, and `count` entries (bound as r0, r1, ...) with their lines.

    A row a line, at least one.
    """
    asked = _entries.request_id.in_(_numbered("r", count))
    return (
        select(
            _clock.latest,
            DatabaseTime(),
            _entries.request_id,
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
            ledger_clock.outerjoin(ledger_entries, asked)
            .outerjoin(ledger_lines, _lines.request_id == _entries.request_id)
            .outerjoin(
                ledger_balances,
                and_(
                    _balances.limit_key == _lines.limit_key,
                    _balances.opened_at == _lines.opened_at,
                ),
            )
        )
        .order_by(_lines.request_id, _lines.limit_key)
    )


@lru_cache(maxsize=64)
def lock_entries(count: int) -> Select[Any]:
    """Keep others from changing `count` entries, bound as r0, r1, ..."""
    return (
        select(_entries.fence)
        .where(_entries.request_id.in_(_numbered("r", count)))
        .order_by(_entries.request_id)
        .with_for_update(key_share=True)
    )


@lru_cache(maxsize=64)
def lines(count: int) -> Select[Any]:
    """The lines of `count` entries, bound as r0, r1, ..."""
    return (
        select(ledger_lines)
        .where(_lines.request_id.in_(_numbered("r", count)))
        .order_by(_lines.request_id, _lines.limit_key)
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
    return select(_windows.window_key, _windows.opened_at, _windows.closes_at).where(
        _windows.window_key.in_(_numbered("k", count)), _windows.opened_at == newest
    )


@lru_cache(maxsize=64)
def balances(count: int, *, lock: bool) -> Select[Any]:
    """The books of `count` limits in given windows, bound as k0, o0, k1, o1, ..."""
    places = [
        and_(_balances.limit_key == bindparam(f"k{n}"), _balances.opened_at == bindparam(f"o{n}"))
        for n in range(count)
    ]
    found = select(
        _balances.limit_key,
        _balances.opened_at,
        _balances.spent,
        _balances.held,
        _balances.breach,
    ).where(or_(*places))
    if not lock:
        return found
    return found.order_by(_balances.limit_key, _balances.opened_at).with_for_update(key_share=True)
