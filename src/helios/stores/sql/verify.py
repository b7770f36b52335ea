"""Adding the books up anew from the entries: what an operator asks for after a fright."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    exists,
    func,
    null,
    or_,
    select,
    text,
    union_all,
    update,
)

from helios.domain.budget.units import Unit
from helios.ports.audit import Findings, Mismatch, Sums
from helios.stores.sql.database import Database
from helios.stores.sql.schema import OPEN, ledger_balances, ledger_entries, ledger_lines

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
    .cte("sums")
)

_SAME_WINDOW = and_(
    _SUMS.c.limit_key == _balances.limit_key, _SUMS.c.opened_at == _balances.opened_at
)
_ADDED_UP = [func.coalesce(_SUMS.c[name], 0) for name in ("spent", "held", "breach")]
_BOOKED = [_balances.spent, _balances.held, _balances.breach]

_WRONG = (
    select(
        _balances.limit_key,
        _balances.opened_at,
        _balances.label,
        _balances.unit,
        *_BOOKED,
        *_ADDED_UP,
    )
    .select_from(ledger_balances.outerjoin(_SUMS, _SAME_WINDOW))
    .where(or_(*(a != b for a, b in zip(_BOOKED, _ADDED_UP, strict=True))))
)

_GONE = select(
    _SUMS.c.limit_key, _SUMS.c.opened_at, *[null()] * 5, _SUMS.c.spent, _SUMS.c.held, _SUMS.c.breach
).where(
    or_(_SUMS.c.spent != 0, _SUMS.c.held != 0, _SUMS.c.breach != 0),
    ~exists().where(_SAME_WINDOW),
)

_MISMATCHES = union_all(_WRONG, _GONE).order_by("limit_key", "opened_at")
"""One statement sees one state of the tables, so that it may run while others spend."""

_SIZE = select(func.count(_balances.limit_key.distinct()), func.count()).select_from(
    ledger_balances
)

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


class SqlAuditor:
    """`ports.audit.Auditor` on SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def verify(self) -> Findings:
        """Where the books are wrong; nowhere, unless somebody wrote past Helios.

        Raises:
            StoreError: the database cannot be used.
        """
        return await self._database.read(_look)

    async def rebuild(self) -> Findings:
        """Write wrong books anew from their entries; what was wrong before.

        Nobody can reserve meanwhile, and nothing else changes.

        Raises:
            StoreError: the database cannot be used; nothing was changed.
        """

        def mend(connection: Connection) -> Findings:
            if self._database.locks_rows:
                connection.execute(_STOP_OTHERS)
            found = _look(connection)
            for wrong in found.mismatches:
                if wrong.booked:
                    connection.execute(_MEND, _right(wrong))
            return found

        return await self._database.write(mend)


def _look(connection: Connection) -> Findings:
    found = tuple(_mismatch(row) for row in connection.execute(_MISMATCHES))
    limits, windows = connection.execute(_SIZE).one()
    gone = sum(wrong.booked is None for wrong in found)
    return Findings(limits, windows + gone, found)


def _mismatch(row: Any) -> Mismatch:
    key, opened_at, label, unit, *amounts = row
    if unit is None:
        return Mismatch(key, "", None, opened_at, None, _sums(amounts[3:]))
    return Mismatch(key, label, Unit(unit), opened_at, _sums(amounts[:3]), _sums(amounts[3:]))


def _right(wrong: Mismatch) -> dict[str, Any]:
    return {
        "key": wrong.limit_key,
        "opened": wrong.opened_at,
        "new_spent": wrong.added_up.spent,
        "new_held": wrong.added_up.held,
        "new_breach": wrong.added_up.breach,
    }


def _sums(amounts: list[int]) -> Sums:
    # PostgreSQL adds whole numbers up to a decimal.
    return Sums(*(int(amount) for amount in amounts))
