"""What a transaction on the ledger is going to write, kept until the end and written together."""

from collections.abc import Iterable
from typing import Any

from helios.domain.budget.ledger import Delta, Entry, EntryState
from helios.stores.sql import ledger_rows as rows
from helios.stores.sql import ledger_statements as sql
from helios.stores.sql.ledger_rows import Row
from helios.stores.sql.quick import Quick

Place = tuple[str, float]
"""Where books are: the key of the limit and the opening of the window."""


class Changes:
    """Each row once, however many callers changed it.

    `sender` is whom others hear of when room was made, "" where nobody can be told.

    Attributes:
        freed: whether an entry came to its end, which may have made room.
    """

    def __init__(self, quick: Quick, sender: str) -> None:
        self._quick = quick
        self._sender = sender
        self.freed = False
        self._forget()

    def open_window(self, row: Row) -> None:
        """A window that was not stored yet."""
        self._windows.append(row)

    def open_balance(self, row: Row) -> None:
        """Books that were not stored yet, still empty."""
        self._balances.append(row)

    def add(self, entry: Entry) -> None:
        """A new entry."""
        self._new[entry.request_id] = entry

    def change(self, before: Entry, after: Entry) -> None:
        """An entry that is stored, or about to be."""
        if after.request_id in self._new:
            self._new[after.request_id] = after
            return
        self._changed[after.request_id] = rows.change_row(after)
        for old, new in zip(before.lines, after.lines, strict=True):
            if old.charged != new.charged:
                self._charged[after.request_id, new.limit_key] = new.charged

    def move(self, delta: Delta, cap: int | None = None) -> None:
        """A change to the books of one limit, and the cap they are kept under from now on."""
        place = delta.limit_key, delta.opened_at
        held, spent, breach, old_cap = self._moves.get(place, (0, 0, 0, None))
        self._moves[place] = (
            held + delta.held,
            spent + delta.spent,
            breach + delta.breach,
            old_cap if cap is None else cap,
        )

    def note(
        self, entry: Entry, *, at: float, command: str, before: str, deltas: Iterable[Delta]
    ) -> None:
        """An event."""
        self._events.append(
            rows.event_row(entry, at=at, command=command, before=before, deltas=deltas)
        )
        if entry.state.final and entry.state is not EntryState.DENIED:
            self._frees = self.freed = True

    def write(self) -> None:
        """Write everything that is not written yet; whatever changes leaves an event."""
        if not self._events:
            return
        new = self._new.values()
        lines = [rows.line_row(entry.request_id, line) for entry in new for line in entry.lines]
        with self._quick.at_once():
            self._put(sql.OPEN_WINDOW, self._windows)
            self._put(sql.OPEN_BALANCE, self._balances)
            self._put(sql.ADD_ENTRY, [rows.entry_row(entry) for entry in new])
            self._put(sql.ADD_LINES, lines)
            self._put(sql.CHANGE_ENTRY, list(self._changed.values()))
            self._put(sql.CHARGE_LINE, [rows.charge_row(*at, n) for at, n in self._charged.items()])
            # Rows are locked in the order of their keys.
            self._put(sql.MOVE, [rows.move_row(*at, n) for at, n in sorted(self._moves.items())])
            self._put(sql.ADD_EVENT, self._events)
            if self._frees and self._sender:
                self._quick.run(sql.TELL, [{"sender": self._sender}])
        self._forget()

    def _put(self, statement: Any, written: list[Row]) -> None:
        if written:
            self._quick.run(statement, written)

    def _forget(self) -> None:
        self._frees = False
        self._windows: list[Row] = []
        self._balances: list[Row] = []
        self._new: dict[str, Entry] = {}
        self._changed: dict[str, Row] = {}
        self._charged: dict[tuple[str, str], int] = {}
        self._moves: dict[Place, rows.Move] = {}
        self._events: list[Row] = []
