"""What surrounds the ledger, on SQL: rules, the brake, the provider's word, and usage."""

import math
from typing import Any, get_args

from sqlalchemy import Connection, Select, Table, and_, delete, func, insert, select, update

from helios.domain.budget.account import LimitRule
from helios.domain.budget.signal import Signal, Source
from helios.domain.budget.spend import Spend, SpendBy, SpendSample, SpendTotal
from helios.domain.budget.throttle import Throttle
from helios.errors import UsageError
from helios.stores.sql import budget_rows as rows
from helios.stores.sql import spending
from helios.stores.sql.database import Database
from helios.stores.sql.schema import budget_limits, budget_signals, budget_throttle

_BEST_FIRST = {source: rank for rank, source in enumerate(get_args(Source))}


class SqlBudgetBook:
    """`ports.budget.BudgetBook` on SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        """Keep the book in `database`."""
        self._database = database

    async def limit_rules(self) -> tuple[LimitRule, ...]:
        """All rules, by account and name."""
        ordered = select(budget_limits).order_by(budget_limits.c.account, budget_limits.c.name)
        return tuple(rows.limit_from(row) for row in await self._rows(ordered))

    async def put_limit_rule(self, rule: LimitRule) -> None:
        """Store a rule, or replace the one of this account and name."""
        await self._put(budget_limits, rows.limit_row(rule))

    async def remove_limit_rule(self, account: str, name: str) -> bool:
        """Forget a rule; whether there was one. Its books stay in the ledger."""
        this = delete(budget_limits).where(
            budget_limits.c.account == account, budget_limits.c.name == name
        )
        return await self._database.write(
            lambda connection: connection.execute(this).rowcount > 0, repeatable=False
        )

    async def throttle(self) -> Throttle | None:
        """The brake as it was set last, whether or not it still holds."""
        found = await self._rows(select(budget_throttle))
        return rows.throttle_from(found[0]) if found else None

    async def set_throttle(self, throttle: Throttle | None) -> None:
        """Set or release the brake."""
        if throttle is not None:
            await self._put(budget_throttle, rows.throttle_row(throttle))
            return
        await self._database.write(
            lambda connection: connection.execute(delete(budget_throttle)).rowcount
        )

    async def save_signal(self, signal: Signal) -> None:
        """Store a figure of the provider; one of the same window, source and time is replaced."""
        await self._put(budget_signals, rows.signal_row(signal))

    async def latest_signals(self) -> tuple[Signal, ...]:
        """The newest figure of each window, by the window's name; of equals the best source's."""
        found = [rows.signal_from(row) for row in await self._rows(_LATEST_SIGNALS)]
        worst_first = sorted(found, key=lambda signal: -_BEST_FIRST[signal.source])
        newest = {signal.window: signal for signal in worst_first}
        return tuple(newest[window] for window in sorted(newest))

    async def signals(self, window: str, since: float, most: int = 1000) -> tuple[Signal, ...]:
        """The newest `most` figures of one window, the oldest first."""
        column = budget_signals.c
        newest_first = (
            select(budget_signals)
            .where(column.window_name == window, column.at >= since)
            .order_by(column.at.desc(), column.source.desc())
            .limit(most)
        )
        return tuple(rows.signal_from(row) for row in reversed(await self._rows(newest_first)))

    async def save_spend(self, spend: Spend) -> None:
        """Store what a request spent, once."""
        await self._database.write(
            lambda connection: spending.add_spend(connection, spend), patient=True
        )

    async def answers(self, since: float, until: float, *, simulated: bool) -> frozenset[str]:
        """The provider's names of the answers that were booked, as far as they are known."""
        bound = {"since": since, "until": until, "simulated": simulated}
        found = await self._rows(spending.ANSWERS, **bound)
        return frozenset(row["message_id"] for row in found)

    async def totals(
        self, by: SpendBy, since: float, until: float, *, simulated: bool
    ) -> tuple[SpendTotal, ...]:
        """Sums by name, the dearest first; rows without that name come under ""."""
        found = await self._rows(spending.TOTALS[by], since=since, until=until, simulated=simulated)
        return tuple(rows.total_from(row) for row in found)

    async def samples(
        self, since: float, until: float, every_s: float, *, simulated: bool
    ) -> tuple[SpendSample, ...]:
        """Sums by spans of `every_s` seconds from `since` on, spans without spending left out.

        Raises:
            UsageError: `since` is not finite, or `every_s` is not a finite number above 0.
        """
        if not (math.isfinite(since) and 0 < every_s < math.inf):
            raise UsageError(
                f"time cannot be divided into spans of {every_s} s from {since} on",
                next_step="Give a time to begin at and a span longer than 0 seconds.",
            )
        bound = {"since": since, "until": until, "every_s": every_s, "simulated": simulated}
        found = await self._database.read(
            lambda connection: connection.execute(spending.SAMPLES, bound).all()
        )
        return tuple(
            SpendSample(since + number * every_s, int(messages), int(tokens), int(cost))
            for number, messages, tokens, cost in found
        )

    async def output_lengths(
        self, agent: str, model: str, most: int = 500, *, simulated: bool
    ) -> tuple[int, ...]:
        """Output tokens of the newest calls of an agent on a model, the newest first.

        Rows that sum up several messages are no calls and are left out.
        """
        bound = {"agent": agent, "model": model, "most": most, "simulated": simulated}
        found = await self._rows(spending.OUTPUT_LENGTHS, **bound)
        return tuple(row["output_tokens"] for row in found)

    async def _rows(self, query: Select[Any], **bound: Any) -> list[rows.Row]:
        def read(connection: Connection) -> list[rows.Row]:
            return [dict(row) for row in connection.execute(query, bound).mappings()]

        return await self._database.read(read)

    async def _put(self, table: Table, row: dict[str, Any]) -> None:
        """Replace the row with this key or insert one; two inserts collide, and one repeats."""
        this = and_(*(column == row[column.name] for column in table.primary_key))

        def put(connection: Connection) -> None:
            if connection.execute(update(table).where(this).values(row)).rowcount == 0:
                connection.execute(insert(table), row)

        await self._database.write(put)


def _latest_signals() -> Select[Any]:
    """The newest rows of each window.

    Windows are few and figures many, so the names are found by stepping from one to the next
    through the index, not by reading all rows.
    """
    column = budget_signals.c
    first = select(func.min(column.window_name).label("name")).cte("names", recursive=True)
    following = select(func.min(column.window_name)).where(column.window_name > first.c.name)
    names = first.union_all(
        select(following.correlate(first).scalar_subquery()).where(first.c.name.is_not(None))
    )
    others = budget_signals.alias("others").c
    newest = select(func.max(others.at)).where(others.window_name == names.c.name)
    return (
        select(budget_signals)
        .join(names, column.window_name == names.c.name)
        .where(column.at == newest.correlate(names).scalar_subquery())
    )


_LATEST_SIGNALS = _latest_signals()
