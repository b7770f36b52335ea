"""Adding the books up anew from the entries: what an operator asks for after a fright."""

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    text,
    update,
)

from helios.stores.sql.database import Database
from helios.stores.sql.schema import OPEN, ledger_balances, ledger_entries, ledger_lines


@dataclass(frozen=True, slots=True)
class Sums:
    """What is booked on a limit in a window."""

    spent: int
    held: int
    breach: int


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Books that do not agree with their entries."""

    limit_key: str
    opened_at: float
    booked: Sums
    added_up: Sums


_lines, _balances = ledger_lines.c, ledger_balances.c

_SUMS = (
    select(
        _lines.limit_key,
        _lines.opened_at,
        func.sum(_lines.charged).label("spent"),
        func.sum(case((OPEN, _lines.estimate), else_=0)).label("held"),
        func.sum(
            case((_lines.charged > _lines.estimate, _lines.charged - _lines.estimate), else_=0)
        ).label("breach"),
    )
    .select_from(
        ledger_lines.join(ledger_entries, ledger_entries.c.request_id == _lines.request_id)
    )
    .group_by(_lines.limit_key, _lines.opened_at)
    .subquery()
)

_ADDED_UP = [func.coalesce(_SUMS.c[name], 0) for name in ("spent", "held", "breach")]
_BOOKED = [_balances.spent, _balances.held, _balances.breach]

_MISMATCHES = (
    select(_balances.limit_key, _balances.opened_at, *_BOOKED, *_ADDED_UP)
    .select_from(
        ledger_balances.outerjoin(
            _SUMS,
            and_(
                _SUMS.c.limit_key == _balances.limit_key,
                _SUMS.c.opened_at == _balances.opened_at,
            ),
        )
    )
    .where(or_(*(a != b for a, b in zip(_BOOKED, _ADDED_UP, strict=True))))
    .order_by(_balances.limit_key, _balances.opened_at)
)
"""One statement sees one state of the tables, so that it may run while others spend."""

_STOP_OTHERS = text(
    "LOCK TABLE ledger_entries, ledger_lines, ledger_balances IN SHARE ROW EXCLUSIVE MODE"
)

_NEEDED: ColumnElement[int] = (
    bindparam("new_spent", type_=BigInteger)
    + bindparam("new_held", type_=BigInteger)
    - bindparam("new_breach", type_=BigInteger)
)

_MEND = (
    update(ledger_balances)
    .where(_balances.limit_key == bindparam("key"), _balances.opened_at == bindparam("opened"))
    .values(
        spent=bindparam("new_spent"),
        held=bindparam("new_held"),
        breach=bindparam("new_breach"),
        # What is booked cannot be undone by a cap.
        cap=case((_balances.cap < _NEEDED, _NEEDED), else_=_balances.cap),
    )
)


async def verify(database: Database) -> tuple[Mismatch, ...]:
    """Books that do not agree with their entries; none, unless somebody wrote past Helios.

    Raises:
        StoreError: the database cannot be used.
    """
    return await database.read(_mismatches)


async def rebuild(database: Database) -> tuple[Mismatch, ...]:
    """Write the books anew from their entries; what was wrong with them.

    Nobody can reserve meanwhile, and nothing else changes.

    Raises:
        StoreError: the database cannot be used.
    """

    def mend(connection: Connection) -> tuple[Mismatch, ...]:
        if database.locks_rows:
            connection.execute(_STOP_OTHERS)
        found = _mismatches(connection)
        for wrong in found:
            right = wrong.added_up
            connection.execute(
                _MEND,
                {
                    "key": wrong.limit_key,
                    "opened": wrong.opened_at,
                    "new_spent": right.spent,
                    "new_held": right.held,
                    "new_breach": right.breach,
                },
            )
        return found

    return await database.write(mend)


def _mismatches(connection: Connection) -> tuple[Mismatch, ...]:
    return tuple(
        Mismatch(key, opened_at, _sums(amounts[:3]), _sums(amounts[3:]))
        for key, opened_at, *amounts in connection.execute(_MISMATCHES)
    )


def _sums(amounts: list[int]) -> Sums:
    # PostgreSQL adds whole numbers up to a decimal.
    return Sums(*(int(amount) for amount in amounts))
