"""The ledger inside one transaction: read, let the rules decide, write.

Rows are locked in one order everywhere (entries, then balances by key, the clock last), so that
two transactions never wait for each other.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from helios.domain.budget.ledger import (
    Admission,
    Command,
    Delta,
    Entry,
    EntryState,
    Line,
    Posting,
    Request,
    post,
)
from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.window import Window, window_at
from helios.ports.clock import Clock
from helios.stores.sql import ledger_rows as rows
from helios.stores.sql import ledger_statements as sql

CLOCK_LAG_S = 1.0

Change = tuple[Entry, str, Posting]
"""An entry as it was, the command, and what came of it."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One entry as it stands, and the unit of each of its limits."""

    entry: Entry | None
    units: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Frame:
    """The window in which a limit counts now, and whether it is stored yet."""

    limit: Limit
    window: Window
    stored: bool

    @property
    def place(self) -> tuple[str, float]:
        """Where its books are."""
        return self.limit.key, self.window.opened_at


@dataclass(frozen=True, slots=True)
class Account:
    """The books of one frame, and whether they are stored yet."""

    frame: Frame
    balance: Balance
    stored: bool


Accounts = Mapping[str, Account]
"""Accounts by the key of their limit."""


class Books:
    """One transaction on the ledger.

    Attributes:
        now: the ledger's time, known once something was looked at: the database's clock, or the
            one given, kept from going back.
    """

    def __init__(self, connection: Connection, clock: Clock | None, *, locks_rows: bool) -> None:
        self._execute = connection.execute
        self._clock = clock
        self._locks_rows = locks_rows
        self._latest = 0.0
        self._rests_on_time = False
        self.now = 0.0

    def read_time(self) -> float:
        """The ledger's time."""
        latest, own = self._execute(sql.TIME).one()
        return self._tell(latest, own)

    def rests_on_time(self) -> None:
        """Note that what is decided holds only because time has passed."""
        self._rests_on_time = True

    def keep_time(self) -> None:
        """Make sure that the ledger's time does not fall behind what was decided on it.

        The stored time may lag a little, to save a write, unless something rests on time having
        passed: an ended lease must stay ended, a closed window closed.
        """
        lag = self.now - self._latest
        if lag >= CLOCK_LAG_S or (lag > 0 and self._rests_on_time):
            self._execute(sql.KEEP_TIME, {"now": self.now})

    def look(self, request_id: str, *, lock: bool = False) -> Sight:
        """One entry and the time; with `lock`, nobody else changes the entry until the commit."""
        if lock and self._locks_rows:
            self._execute(sql.LOCK_ENTRY, {"request_id": request_id})
        found = self._execute(sql.LOOK, {"request_id": request_id}).all()
        latest, own, *columns = found[0][:7]
        self._tell(latest, own)
        if columns[0] is None:
            return Sight(None, {})
        held = [row for row in found if row[7] is not None]
        entry = rows.entry_from(request_id, columns, (rows.line_from(row[7:12]) for row in held))
        return Sight(entry, {row[7]: row[12] for row in held})

    def frames(self, limits: Iterable[Limit], *, to_use: bool = False) -> tuple[Frame, ...]:
        """The windows these limits count in now.

        Args:
            limits: any number; those with the same `window_key` share a window.
            to_use: whether a window that is not stored yet may be opened; then nobody else opens
                one until the commit.
        """
        unique = tuple({limit.key: limit for limit in limits}.values())
        frames = self._frames(unique)
        if to_use and self._locks_rows and not all(frame.stored for frame in frames):
            self._execute(sql.LOCK_WINDOWS)
            frames = self._frames(unique)
        return frames

    def accounts(self, frames: Sequence[Frame], *, lock: bool = False) -> Accounts:
        """The books of each frame; with `lock`, nobody else changes them until the commit."""
        if not frames:
            return {}
        bound: dict[str, Any] = {}
        for n, frame in enumerate(frames):
            bound[f"k{n}"], bound[f"o{n}"] = frame.place
        statement = sql.balances(len(frames), lock=lock and self._locks_rows)
        found = {key: amounts for key, *amounts in self._execute(statement, bound)}
        return {
            frame.limit.key: Account(
                frame,
                Balance(frame.limit, frame.window, *found.get(frame.limit.key, ())),
                stored=frame.limit.key in found,
            )
            for frame in frames
        }

    def hold(self, admission: Admission, accounts: Accounts) -> Admission:
        """Write an admitted entry, opening the windows and books it needs."""
        assert admission.entry is not None
        lines = tuple(sorted(admission.entry.lines, key=lambda line: line.limit_key))
        entry = replace(admission.entry, lines=lines)
        used = [accounts[line.limit_key] for line in lines]
        self._open(used)
        self._execute(sql.ADD_ENTRY, rows.entry_row(entry))
        if lines:
            self._execute(sql.ADD_LINES, [rows.line_row(entry.request_id, line) for line in lines])
            holds = zip(lines, used, strict=True)
            self._execute(sql.HOLD, [rows.hold_row(line, own.balance) for line, own in holds])
        self._note(entry, "reserve", "absent", admission.deltas)
        return replace(admission, entry=entry)

    def note_denied(self, request: Request) -> None:
        """Leave a trace of a refusal; nothing is booked, so the same id may ask again."""
        denied = Entry(request.request_id, EntryState.DENIED, 0, self.now, request.tier, ())
        self._note(denied, "reserve", "absent", ())

    def change(self, *changes: Change) -> None:
        """Write what commands did to entries."""
        self._execute(sql.CHANGE_ENTRY, [rows.change_row(done.entry) for _, _, done in changes])
        charges = [
            row for before, _, done in changes for row in rows.charge_rows(before, done.entry)
        ]
        if charges:
            self._execute(sql.CHARGE_LINE, charges)
        moves = rows.move_rows(delta for _, _, done in changes for delta in done.deltas)
        if moves:
            self._execute(sql.MOVE, moves)
        for before, command, done in changes:
            self._note(done.entry, command, before.state, done.deltas)

    def is_any_expired(self) -> bool:
        """Whether an entry is still open although its lease is over."""
        return bool(self._execute(sql.IS_ANY_EXPIRED, {"now": self.now}).scalar_one())

    def close_expired(self, most: int, also: Collection[Frame] = ()) -> tuple[Entry, ...]:
        """Close entries whose lease is over; what was closed.

        Args:
            most: how many at most.
            also: books that this transaction will need, locked together with those of the entries.
        """
        expired = self._expired(most)
        if not expired:
            return ()
        if self._locks_rows:
            places = {(line.limit_key, line.opened_at) for entry in expired for line in entry.lines}
            places.update(frame.place for frame in also)
            if places:
                self._execute(sql.LOCK_BALANCES, {"places": list(places)})
        changes = [(entry, Command.EXPIRE.value, _expire(entry, self.now)) for entry in expired]
        self.change(*changes)
        self.rests_on_time()
        return tuple(done.entry for _, _, done in changes)

    def history(self, limit_key: str, most: int) -> tuple[Balance, ...]:
        """Past and current books of a limit, the newest first."""
        found = self._execute(sql.HISTORY, {"limit_key": limit_key, "most": most})
        return tuple(rows.past_balance(row._asdict()) for row in found)

    def _tell(self, latest: float, own: float) -> float:
        self._latest = latest
        self.now = max(latest, self._clock.now() if self._clock else own)
        return self.now

    def _frames(self, limits: Sequence[Limit]) -> tuple[Frame, ...]:
        rules = {limit.window_key: limit.window for limit in limits}
        if not rules:
            return ()
        bound = {f"k{n}": key for n, key in enumerate(rules)}
        found = self._execute(sql.newest_windows(len(rules)), bound)
        stored = {key: Window(opens, rows.closing(closes)) for key, opens, closes in found}
        now = {key: window_at(rule, stored.get(key), self.now) for key, rule in rules.items()}
        return tuple(
            Frame(
                limit, now[limit.window_key], stored.get(limit.window_key) == now[limit.window_key]
            )
            for limit in limits
        )

    def _open(self, used: Sequence[Account]) -> None:
        windows = {
            own.frame.limit.window_key: own.frame.window for own in used if not own.frame.stored
        }
        if windows:
            opened = [rows.window_row(key, window) for key, window in windows.items()]
            self._execute(sql.OPEN_WINDOW, opened)
            self.rests_on_time()
        fresh = [rows.balance_row(own.balance) for own in used if not own.stored]
        if fresh:
            self._execute(sql.OPEN_BALANCE, fresh)

    def _expired(self, most: int) -> list[Entry]:
        heads = self._execute(sql.EXPIRED, {"now": self.now, "most": most}).all()
        if not heads:
            return []
        lines: dict[str, list[Line]] = {head[0]: [] for head in heads}
        for request_id, *columns in self._execute(sql.LINES, {"request_ids": list(lines)}):
            lines[request_id].append(rows.line_from(columns))
        return [rows.entry_from(head[0], head[1:], lines[head[0]]) for head in heads]

    def _note(self, entry: Entry, command: str, before: str, deltas: Iterable[Delta]) -> None:
        row = rows.event_row(entry, at=self.now, command=command, before=before, deltas=deltas)
        self._execute(sql.ADD_EVENT, [row])


def _expire(entry: Entry, now: float) -> Posting:
    done = post(entry, Command.EXPIRE, now=now)
    assert isinstance(done, Posting)
    return replace(done, entry=replace(done.entry, reason="the lease ended without an answer"))
