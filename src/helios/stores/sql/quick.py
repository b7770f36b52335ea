"""Statements run past SQLAlchemy's own machinery, which on a hot path costs more than the database.

They are written in SQLAlchemy and compiled once; what goes in and comes out are plain numbers and
texts. Errors are those that SQLAlchemy would raise.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
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
        dbapi: Any = self._dialect.loaded_dbapi
        self._error: type[Exception] = dbapi.Error

    def all(self, statement: ClauseElement, bound: Bound | None = None) -> list[Any]:
        """The rows a query finds."""
        compiled = _compiled(statement, self._dialect, None)
        try:
            self._cursor.execute(compiled.text, compiled.values(bound or {}))
            found: list[Any] = self._cursor.fetchall()
        except self._error as error:
            raise self._understood(compiled.text, error) from error
        return found

    def each(self, asked: Sequence[tuple[ClauseElement, Bound]]) -> list[list[Any]]:
        """The rows of several queries, done in this order and asked of a server all at once."""
        if self._dialect.name == "sqlite" or len(asked) == 1:
            return [self.all(statement, bound) for statement, bound in asked]
        cursors = [self._connection.connection.cursor() for _ in asked]
        with self.at_once():
            for cursor, (statement, bound) in zip(cursors, asked, strict=True):
                compiled = _compiled(statement, self._dialect, None)
                cursor.execute(compiled.text, compiled.values(bound))
        return [list(cursor.fetchall()) for cursor in cursors]

    def run(self, statement: ClauseElement, rows: Sequence[Bound]) -> None:
        """Write rows that all have the same columns."""
        compiled = _compiled(statement, self._dialect, tuple(rows[0]))
        values = [compiled.values(row) for row in rows]
        try:
            if len(values) == 1:
                self._cursor.execute(compiled.text, values[0])
            else:
                self._cursor.executemany(compiled.text, values)
        except self._error as error:
            raise self._understood(compiled.text, error) from error

    def command(self, text: str) -> None:
        """Run a statement without values or answer."""
        try:
            self._cursor.execute(text)
        except self._error as error:
            raise self._understood(text, error) from error

    def at_once(self) -> AbstractContextManager[None]:
        """Send what is run inside to a server without waiting for each answer."""
        return nullcontext() if self._dialect.name == "sqlite" else self._pipeline()

    @contextmanager
    def _pipeline(self) -> Iterator[None]:
        try:
            with self._cursor.connection.pipeline():
                yield
        except self._error as error:
            raise self._understood("several statements", error) from error

    def _understood(self, text: str, error: Exception) -> Exception:
        """The error that SQLAlchemy would raise."""
        is_cut = self._dialect.is_disconnect(error, self._cursor.connection, self._cursor)  # type: ignore[arg-type]
        if is_cut:
            self._connection.invalidate(error)
        return DBAPIError.instance(
            text, None, error, self._error, connection_invalidated=is_cut, dialect=self._dialect
        )


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
