"""Statements run past SQLAlchemy's own machinery, which on a hot path costs more than the database.

They are written in SQLAlchemy and compiled once; what goes in and comes out are plain numbers and
texts. Errors are those that SQLAlchemy would raise.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.expression import ClauseElement

Bound = dict[str, Any]


class Quick:
    """A connection for such statements, inside the transaction it has begun."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect
        self._cursor: Any = connection.connection.cursor()

    def all(self, statement: ClauseElement, bound: Bound | None = None) -> list[Any]:
        """The rows a query finds."""
        compiled = _compiled(statement, self._dialect, None)
        with self._errors(compiled.text):
            self._cursor.execute(compiled.text, compiled.values(bound or {}))
            found: list[Any] = self._cursor.fetchall()
            return found

    def run(self, statement: ClauseElement, rows: Sequence[Bound]) -> None:
        """Write rows that all have the same columns."""
        compiled = _compiled(statement, self._dialect, tuple(rows[0]))
        values = [compiled.values(row) for row in rows]
        with self._errors(compiled.text):
            if len(values) == 1:
                self._cursor.execute(compiled.text, values[0])
            else:
                self._cursor.executemany(compiled.text, values)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Send what is run inside to a server without waiting for each answer."""
        if self._dialect.name == "sqlite":
            yield
            return
        with self._errors("several statements"), self._cursor.connection.pipeline():
            yield

    @contextmanager
    def _errors(self, text: str) -> Iterator[None]:
        dbapi: Any = self._dialect.loaded_dbapi
        try:
            yield
        except dbapi.Error as error:
            is_cut = self._dialect.is_disconnect(error, self._cursor.connection, self._cursor)
            if is_cut:
                self._connection.invalidate(error)
            raise DBAPIError.instance(
                text, None, error, dbapi.Error, connection_invalidated=is_cut, dialect=self._dialect
            ) from error


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement's text; its parameters' names in order, for a driver that counts them; and the
    parameters that SQLAlchemy itself adds.
    """

    text: str
    order: tuple[str, ...] | None
    added: Bound

    def values(self, bound: Bound) -> Any:
        every = {**self.added, **bound} if self.added else bound
        return every if self.order is None else [every[name] for name in self.order]


@lru_cache(maxsize=512)
def _compiled(
    statement: ClauseElement, dialect: Dialect, columns: tuple[str, ...] | None
) -> _Compiled:
    names = list(columns) if columns and statement.__visit_name__ == "insert" else None
    compiled: Any = statement.compile(dialect=dialect, column_keys=names)
    positions = compiled.positiontup
    added = {name: value for name, value in compiled.params.items() if value is not None}
    return _Compiled(str(compiled), None if positions is None else tuple(positions), added)
