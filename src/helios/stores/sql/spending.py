"""Statements on what was spent: a row a request, summed by the database."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    Connection,
    Double,
    Select,
    and_,
    bindparam,
    case,
    cast,
    func,
    insert,
    select,
)

from helios.domain.budget.spend import Spend, SpendBy
from helios.stores.sql import budget_rows as rows
from helios.stores.sql.encoding import storable
from helios.stores.sql.quick import Quick
from helios.stores.sql.schema import spends

_column = spends.c

_FIND = select(_column.seq).where(_column.request_id == bindparam("id"))
_ADD = insert(spends)


def add_spend(connection: Connection, spend: Spend) -> None:
    """Store what a request spent, unless it is stored.

    Two that add the same one collide on the id, and one of them starts again.
    """
    quick = Quick(connection)
    if not quick.all(_FIND, {"id": storable(spend.request_id)}):
        quick.run(_ADD, [rows.spend_row(spend)])


_SINCE: BindParameter[float] = bindparam("since", type_=Double())
_UNTIL: BindParameter[float] = bindparam("until", type_=Double())
_EVERY: BindParameter[float] = bindparam("every_s", type_=Double())
_IN_KIND = _column.simulated == bindparam("simulated", type_=Boolean())
_IN_SPAN = and_(_IN_KIND, _column.at >= _SINCE, _column.at < _UNTIL)


ANSWERS = select(_column.message_id).where(_IN_SPAN, _column.message_id != "")
"""The names of answers; bound: since, until, simulated."""


def _sums(*names: str) -> list[ColumnElement[int]]:
    return [func.sum(_column[name]).label(name) for name in names]


def _totals(by: SpendBy) -> Select[Any]:
    sums = _sums(
        "messages",
        "input_tokens",
        "output_tokens",
        "cache_write_tokens",
        "cache_read_tokens",
        "cost_microusd",
    )
    name = _column[by]
    dearest = func.sum(_column.cost_microusd).desc()
    return select(name.label("name"), *sums).where(_IN_SPAN).group_by(name).order_by(dearest, name)


_NAMES: tuple[SpendBy, ...] = ("model", "project", "agent", "task", "account", "tier")
TOTALS = {by: _totals(by) for by in _NAMES}
"""Sums by a name, the dearest first; bound: since, until, simulated."""


def _numbered() -> Select[Any]:
    """Each row with the number n of its span: since + n * every_s <= at, and not so for n + 1.

    A number made whole is cut off by SQLite and rounded by PostgreSQL, and dividing rounds as well;
    the borders, computed as readers compute them, put it right.
    """
    guess = cast((_column.at - _SINCE) / _EVERY, BigInteger)
    number = guess + case(
        (_SINCE + (guess + 1) * _EVERY <= _column.at, 1),
        (_SINCE + guess * _EVERY > _column.at, -1),
        else_=0,
    )
    tokens = (
        _column.input_tokens
        + _column.output_tokens
        + _column.cache_write_tokens
        + _column.cache_read_tokens
    )
    return select(
        number.label("number"), _column.messages, tokens.label("tokens"), _column.cost_microusd
    ).where(_IN_SPAN)


def _samples() -> Select[Any]:
    row = _numbered().subquery().c
    sums = (func.sum(row[name]) for name in ("messages", "tokens", "cost_microusd"))
    return select(row.number, *sums).group_by(row.number).order_by(row.number)


SAMPLES = _samples()
"""Messages, tokens and cost by the number of the span; bound: since, until, every_s, simulated."""

OUTPUT_LENGTHS = (
    select(_column.output_tokens)
    .where(
        _column.agent == bindparam("agent"),
        _column.model == bindparam("model"),
        _IN_KIND,
        _column.messages == 1,
        _column.output_tokens > 0,
    )
    .order_by(_column.at.desc(), _column.seq.desc())
    .limit(bindparam("most"))
)
"""Rows that sum up several calls say nothing about the length of one."""
