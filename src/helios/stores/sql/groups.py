"""Who shares a transaction: work that is quicker done for several callers at once."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection


class Group(Protocol):
    """Work that is quicker done for several callers at once, in one transaction.

    Attributes:
        most: for how many.
    """

    most: int

    def transact(self, connection: Connection, asked: Sequence[Any]) -> Sequence[Any]:
        """Do it; an answer for each."""
        ...

    def committed(self, answers: Sequence[Any]) -> None:
        """Hear that it is stored."""
        ...


class Each:
    """Work that is done for each by itself."""

    most = 1

    def transact(
        self, connection: Connection, asked: Sequence[Callable[[Connection], Any]]
    ) -> Sequence[Any]:
        """Run them in turn."""
        return [work(connection) for work in asked]

    def committed(self, answers: Sequence[Any]) -> None:
        """Nobody needs to hear."""
