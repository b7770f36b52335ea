"""The ledger inside one transaction: read, let the rules decide, write.

Rows are locked in one order everywhere (entries, then balances by key, the clock last), so that
two transactions never wait for each other.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
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
from helios.stores.sql.ledger_changes import Changes, Place
from helios.stores.sql.quick import Quick

CLOCK_LAG_S = 1.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller will look at: an entry to change, or one to be, with the limits on it."""

    request_id: str
    limits: tuple[Limit, ...] = ()


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
    """One transaction on the ledger, for one caller or for several one after the other.

    What was read is kept, and what is changed is kept until `write`, so that many callers cost
    hardly more statements than one.

    Attributes:
        now: the ledger's time, known once something was looked at: the database's clock, or the
            one given, kept from going back.
    """

    def __init__(
        self, connection: Connection, clock: Clock | None, *, locks_rows: bool, sender: str = ""
    ) -> None:
        self._quick = Quick(connection)
        self._clock = clock
        self._locks_rows = locks_rows
        self._latest = 0.0
        self._rests_on_time = False
        self._changes = Changes(self._quick, sender if locks_rows else "")
        self._sights: dict[str, Sight] = {}
        self._windows: dict[str, Window | None] = {}
        self._amounts: dict[Place, tuple[int, int, int] | None] = {}
        self._has_locked_windows = False
        self.now = 0.0

    @property
    def freed(self) -> bool:
        """Whether an entry came to its end, which may have made room."""
        return self._changes.freed

    def read_time(self) -> float:
        """The ledger's time."""
        return self._tell(*self._quick.all(sql.TIME)[0])

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
            self._quick.run(sql.KEEP_TIME, [{"now": self.now}])

    def prepare(self, wishes: Sequence[Wish]) -> None:
        """Read and lock at once, in order, what several callers will need."""
        changed = sorted({wish.request_id for wish in wishes if not wish.limits})
        limits = {limit.key: limit for wish in wishes for limit in wish.limits}
        self._look_up(
            {wish.request_id: None for wish in wishes},
            to_lock=changed,
            window_keys={limit.window_key: None for limit in limits.values()},
        )
        if not limits:
            return
        frames = self.frames(limits.values(), to_use=True)
        places = {frame.place for frame in frames}
        entries = (self._sights[request_id].entry for request_id in changed)
        places.update((li.limit_key, li.opened_at) for e in entries if e for li in e.lines)
        self._read_amounts(places, lock=True, and_time=self._locks_rows)

    def look(self, request_id: str, *, lock: bool = False) -> Sight:
        """One entry and the time; with `lock`, nobody else changes the entry until the commit."""
        if request_id not in self._sights:
            self._look_up([request_id], to_lock=[request_id] if lock else ())
        return self._sights[request_id]

    def frames(self, limits: Iterable[Limit], *, to_use: bool = False) -> tuple[Frame, ...]:
        """The windows these limits count in now.

        Args:
            limits: any number; those with the same `window_key` share a window.
            to_use: whether a window that is not stored yet may be opened; then nobody else opens
                one until the commit.
        """
        unique = tuple({limit.key: limit for limit in limits}.values())
        frames = self._frames(unique)
        must_lock = to_use and self._locks_rows and not self._has_locked_windows
        if must_lock and not all(frame.stored for frame in frames):
            self._quick.all(sql.LOCK_WINDOWS)
            self._has_locked_windows = True
            self._windows.clear()
            frames = self._frames(unique)
        return frames

    def accounts(self, frames: Sequence[Frame], *, lock: bool = False) -> Accounts:
        """The books of each frame; with `lock`, nobody else changes them until the commit."""
        unknown = {frame.place for frame in frames} - self._amounts.keys()
        if unknown:
            self._read_amounts(unknown, lock=lock)
        found = {frame.limit.key: (frame, self._amounts[frame.place]) for frame in frames}
        return {
            key: Account(
                frame,
                Balance(frame.limit, frame.window, *(amounts or ())),
                stored=amounts is not None,
            )
            for key, (frame, amounts) in found.items()
        }

    def hold(self, admission: Admission, accounts: Accounts) -> Admission:
        """Write an admitted entry, opening the windows and books it needs."""
        assert admission.entry is not None
        posting = Posting(admission.entry, admission.deltas)
        return replace(admission, entry=self.enter(posting, accounts, "reserve"))

    def enter(self, posting: Posting, accounts: Accounts, command: str) -> Entry:
        """Write a new entry, opening the windows and books it needs."""
        lines = tuple(sorted(posting.entry.lines, key=lambda line: line.limit_key))
        entry = replace(posting.entry, lines=lines)
        used = [accounts[line.limit_key] for line in lines]
        self._open(used)
        units = {own.frame.limit.key: own.frame.limit.unit.value for own in used}
        self._sights[entry.request_id] = Sight(entry, units)
        self._changes.add(entry)
        for delta in posting.deltas:
            self._move(delta, rows.cap_to_keep(accounts[delta.limit_key].balance))
        self._note(entry, command, "absent", posting.deltas)
        return entry

    def note_denied(self, request: Request) -> None:
        """Leave a trace of a refusal; nothing is booked, so the same id may ask again."""
        denied = Entry(request.request_id, EntryState.DENIED, 0, self.now, request.tier, ())
        self._note(denied, "reserve", "absent", ())

    def change(self, *changes: Change) -> None:
        """Write what commands did to entries."""
        for before, command, done in changes:
            request_id = done.entry.request_id
            if request_id in self._sights:
                self._sights[request_id] = replace(self._sights[request_id], entry=done.entry)
            self._changes.change(before, done.entry)
            for delta in done.deltas:
                self._move(delta)
            self._note(done.entry, command, before.state, done.deltas)

    def write(self) -> None:
        """Write everything that is not written yet."""
        self._changes.write()

    def is_any_expired(self) -> bool:
        """Whether an entry is still open although its lease is over."""
        return bool(self._quick.all(sql.IS_ANY_EXPIRED, {"now": self.now})[0][0])

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
            self._read_amounts(places | {frame.place for frame in also}, lock=True)
        changes = [(entry, Command.EXPIRE.value, _expire(entry, self.now)) for entry in expired]
        self.change(*changes)
        self.write()
        self.rests_on_time()
        return tuple(done.entry for _, _, done in changes)

    def newest_event(self) -> int:
        """The number of the newest event."""
        newest: int = self._quick.all(sql.NEWEST_EVENT)[0][0]
        return newest

    def has_freed(self, since: int) -> bool:
        """Whether an entry came to its end after the event of this number."""
        return bool(self._quick.all(sql.HAS_FREED, {"since": since})[0][0])

    def next_lease_ends_in_s(self) -> float:
        """Seconds until the first lease of an open entry is over; infinite when none is open."""
        latest, own, ends = self._quick.all(sql.NEXT_LEASE_END)[0]
        now = self._tell(latest, own)
        return math.inf if ends is None else ends - now

    def history(self, limit_key: str, most: int) -> tuple[Balance, ...]:
        """Past and current books of a limit, the newest first."""
        found = self._quick.all(sql.HISTORY, {"limit_key": limit_key, "most": most})
        return tuple(rows.past_balance(row) for row in found)

    def _tell(self, latest: float, own: float) -> float:
        self._latest = latest
        self.now = max(latest, self._clock.now() if self._clock else own)
        return self.now

    def _look_up(
        self,
        request_ids: Iterable[str],
        *,
        to_lock: Iterable[str] = (),
        window_keys: Iterable[str] = (),
    ) -> None:
        locked = list(sql.batches(to_lock)) if self._locks_rows else []
        looked, keys = list(sql.batches(request_ids)), list(sql.batches(window_keys))
        answers = self._quick.each(
            [(sql.lock_entries(len(batch)), _bound("r", batch)) for batch in locked]
            + [(sql.look(len(batch)), _bound("r", batch)) for batch in looked]
            + [(sql.newest_windows(len(batch)), _bound("k", batch)) for batch in keys]
        )
        for batch, found in zip(looked, answers[len(locked) :], strict=False):
            self._tell(found[0][0], found[0][1])
            self._sights.update(dict.fromkeys(batch, Sight(None, {})))
            for request_id, group in groupby(found, key=itemgetter(2)):
                if request_id is not None:
                    self._sights[request_id] = _sight(request_id, list(group))
        for batch, found in zip(keys, answers[len(locked) + len(looked) :], strict=True):
            self._windows.update(dict.fromkeys(batch))
            self._windows.update((key, Window(o, rows.closing(c))) for key, o, c in found)

    def _frames(self, limits: Sequence[Limit]) -> tuple[Frame, ...]:
        rules = {limit.window_key: limit.window for limit in limits}
        unknown = [key for key in rules if key not in self._windows]
        if unknown:
            self._look_up((), window_keys=unknown)
        now = {key: window_at(rule, self._windows[key], self.now) for key, rule in rules.items()}
        return tuple(
            Frame(
                limit,
                now[limit.window_key],
                self._windows[limit.window_key] == now[limit.window_key],
            )
            for limit in limits
        )

    def _read_amounts(self, places: Iterable[Place], *, lock: bool, and_time: bool = False) -> None:
        """With `and_time` the time too, as it is once the rows are locked."""
        self.write()
        batches = list(sql.batches(sorted(places)))
        asked = [
            (
                sql.balances(len(batch), lock=lock and self._locks_rows),
                {
                    **_bound("k", [key for key, _ in batch]),
                    **_bound("o", [opened_at for _, opened_at in batch]),
                },
            )
            for batch in batches
        ]
        answers = self._quick.each([*asked, (sql.TIME, {})] if and_time else asked)
        if and_time:
            self._tell(*answers.pop()[0])
        for batch, found in zip(batches, answers, strict=True):
            self._amounts.update(dict.fromkeys(batch))
            self._amounts.update(((key, at), tuple(amounts)) for key, at, *amounts in found)

    def _open(self, used: Sequence[Account]) -> None:
        for own in used:
            frame = own.frame
            key, window = frame.limit.window_key, frame.window
            if self._windows[key] != window:
                self._changes.open_window(rows.window_row(key, window))
                self._windows[key] = window
                self.rests_on_time()
            if not own.stored:
                self._changes.open_balance(rows.balance_row(own.balance))
                self._amounts[frame.place] = (0, 0, 0)

    def _move(self, delta: Delta, cap: int | None = None) -> None:
        place = delta.limit_key, delta.opened_at
        amounts = self._amounts.get(place)
        if amounts is not None:
            spent, held, breach = amounts
            self._amounts[place] = spent + delta.spent, held + delta.held, breach + delta.breach
        self._changes.move(delta, cap)

    def _expired(self, most: int) -> list[Entry]:
        heads = self._quick.all(sql.EXPIRED, {"now": self.now, "most": most})
        if not heads:
            return []
        lines: dict[str, list[Line]] = {head[0]: [] for head in heads}
        for batch in sql.batches(lines):
            found = self._quick.all(sql.lines(len(batch)), _bound("r", batch))
            for request_id, *columns in found:
                lines[request_id].append(rows.line_from(columns))
        return [rows.entry_from(head[0], head[1:], lines[head[0]]) for head in heads]

    def _note(self, entry: Entry, command: str, before: str, deltas: Iterable[Delta]) -> None:
        self._changes.note(entry, at=self.now, command=command, before=before, deltas=deltas)


def _bound(name: str, values: Sequence[Any]) -> dict[str, Any]:
    return {f"{name}{n}": value for n, value in enumerate(values)}


def _sight(request_id: str, found: Sequence[Any]) -> Sight:
    """An entry from the rows of a look, one a line."""
    held = [row for row in found if row[8] is not None]
    lines = (rows.line_from(row[8:13]) for row in held)
    return Sight(
        rows.entry_from(request_id, found[0][3:8], lines), {row[8]: row[13] for row in held}
    )


def _expire(entry: Entry, now: float) -> Posting:
    done = post(entry, Command.EXPIRE, now=now)
    assert isinstance(done, Posting)
    return replace(done, entry=replace(done.entry, reason="the lease ended without an answer"))
