"""The ledger on SQL: each promise of the port is one transaction on the books."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import Connection

from helios.domain.budget.ledger import (
    Admission,
    Command,
    Entry,
    EntryState,
    Posting,
    Refusal,
    Request,
    admit,
    post,
    record,
    take_over,
)
from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.units import Amounts
from helios.errors import ReservationLost
from helios.ports.clock import Clock
from helios.stores.sql.books import Books, Wish
from helios.stores.sql.database import COMMITTED_TOGETHER, Database
from helios.stores.sql.room import Bell

T = TypeVar("T")

SWEPT_TOGETHER = 100

Commands = Mapping[EntryState, Command | None]
"""What a wish means for an entry in each state; None: it is so already, nothing changes."""

_MARK_SENT: Commands = dict.fromkeys(EntryState, Command.MARK_SENT)
_SETTLE: Commands = {
    **dict.fromkeys(EntryState, Command.SETTLE),
    EntryState.SETTLED: None,
    EntryState.CHARGED_ESTIMATE: Command.TRUE_UP,
}
_RELEASE: Commands = {
    **dict.fromkeys(EntryState, Command.RELEASE),
    EntryState.RELEASED: None,
}
_RELEASE_UNBILLED: Commands = {**_RELEASE, EntryState.SENT: Command.PROVE_UNBILLED}


_Asked = tuple[Callable[[Books], Any], Wish | None]
_Answer = tuple[Any, bool]


class SqlLedger:
    """`ports.ledger.Ledger` on SQLite or PostgreSQL."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        """Keep the books in `database`, by its own clock unless another is given."""
        self._database = database
        self._clock = clock
        self._callers = _Callers(self._books, database.room.ring, COMMITTED_TOGETHER)
        self._loner = _Callers(self._books, database.room.ring, 1)

    async def reserve(self, request: Request, limits: Sequence[Limit]) -> Admission:
        """Hold the estimate on every limit, or say why not.

        A caller that is cancelled meanwhile leaves nothing held: it never sent anything.
        """
        wish = Wish(request.request_id, tuple(limits))
        admission = await self._reserve(request, wish, sweep=False)
        while admission is None:
            admission = await self._reserve(request, wish, sweep=True)
        return admission

    async def mark_sent(self, request_id: str, fence: int) -> Entry:
        """Durably note that the first byte is about to go out.

        Raises:
            ReservationLost: do not send.
        """
        return await self._command(request_id, _MARK_SENT, fence)

    async def take_over(self, request_id: str, lease_s: float) -> Entry:
        """Become the owner of an open entry: a higher fence, a fresh lease of so many seconds.

        Raises:
            ReservationLost: the entry has ended.
        """

        def take(books: Books) -> Entry | str:
            entry = books.look(request_id, lock=True).entry
            if entry is None or entry.state.final:
                return _nothing(request_id, entry, "take-over")
            taken = take_over(entry, books.now, lease_s)
            books.change((entry, "take-over", Posting(taken)))
            return taken

        return _ours(await self._write(take, Wish(request_id)))

    async def settle(self, request_id: str, fence: int, actual: Amounts) -> Entry:
        """Charge what the provider reported and free the rest; repeating it changes nothing.

        Raises:
            ReservationLost: the entry is another's, was never sent, or was charged in a window
                that has closed.
        """
        return await self._command(request_id, _SETTLE, fence, actual)

    async def record(self, request: Request, limits: Sequence[Limit]) -> Entry:
        """Book what was spent without having been asked for, once: beyond the room as a breach."""

        def book(books: Books) -> Entry:
            known = books.look(request.request_id).entry
            if known is not None:
                return known
            accounts = books.accounts(books.frames(limits, to_use=True), lock=True)
            done = record(request, tuple(own.balance for own in accounts.values()))
            return books.enter(done, accounts, "record")

        return await self._write(book, Wish(request.request_id, tuple(limits)))

    async def release(self, request_id: str, fence: int, *, unbilled: bool = False) -> Entry:
        """Free a hold that was never sent, or, with `unbilled`, one proved to cost nothing.

        Raises:
            ReservationLost: the entry is another's, or may have cost something.
        """
        return await self._command(request_id, _RELEASE_UNBILLED if unbilled else _RELEASE, fence)

    async def charge_unknown(self, request_id: str) -> Entry:
        """Close an entry whose outcome nobody can know: sent is charged, held is released.

        Raises:
            ReservationLost: there is no such entry.
        """

        def charge(books: Books) -> Entry | str:
            entry = books.look(request_id, lock=True).entry
            if entry is None:
                return _nothing(request_id, entry, "charge")
            if entry.state.final:
                return entry
            # The rules let only time close an unknown outcome: here somebody knows it is over.
            done = post(entry, Command.EXPIRE, now=entry.lease_until)
            if isinstance(done, Refusal):
                return done.reason
            closed = replace(done.entry, reason="the outcome is unknown")
            books.change((entry, "charge-unknown", replace(done, entry=closed)))
            return closed

        return _ours(await self._write(charge, Wish(request_id)))

    async def sweep(self) -> tuple[Entry, ...]:
        """Close every entry whose lease is over; what was closed."""

        def sweep(books: Books) -> tuple[Entry, ...]:
            books.read_time()
            return books.close_expired(SWEPT_TOGETHER)

        closed: list[Entry] = []
        while batch := await self._write_alone(sweep):
            closed += batch
        return tuple(closed)

    async def entry(self, request_id: str) -> Entry | None:
        """One entry as it stands."""
        return await self._read(lambda books: books.look(request_id).entry)

    async def balances(self, limits: Sequence[Limit]) -> tuple[Balance, ...]:
        """The books of these limits in their current windows; nothing is opened by looking."""

        def look(books: Books) -> tuple[Balance, ...]:
            books.read_time()
            accounts = books.accounts(books.frames(limits))
            return tuple(accounts[limit.key].balance for limit in limits)

        return await self._read(look)

    async def history(self, limit_key: str, most: int = 24) -> tuple[Balance, ...]:
        """Past and current windows of a limit, the newest first.

        Only what was booked is known of the limit: its key, unit, cap and label, and as its rule
        the length of the window.
        """
        return await self._read(lambda books: books.history(limit_key, most))

    async def now(self) -> float:
        """The ledger's time, in seconds since 1970, UTC; it never goes back."""

        def tell(books: Books) -> float:
            books.rests_on_time()
            return books.read_time()

        return await self._write_alone(tell)

    async def version(self) -> int:
        """A number that grows whenever somebody settles, releases or closes an entry.

        Take it before asking for room, to wait for what happens after.
        """
        if self._database.locks_rows:
            await self._database.listen()
            return self._database.room.rung
        return await self._read(lambda books: books.newest_event())

    async def wait_for_room(self, timeout_s: float, since: int) -> bool:
        """Wait until somebody, in whatever process, settles, releases or closes an entry.

        Args:
            timeout_s: how long at most, by the ledger's clock.
            since: the `version` from which on it counts.

        Returns:
            False after the timeout. True also when a lease is over, so that who asks again
            closes its entry.
        """
        until = self._monotonic() + timeout_s
        while True:
            with self._database.room.waiting() as bell:
                if await self._has_freed(since):
                    return True
                lease_s = await self._read(lambda books: books.next_lease_ends_in_s())
                left_s = until - self._monotonic()
                if min(left_s, lease_s) > 0:
                    await self._either(bell, min(left_s, lease_s))
                if bell.done():
                    if bell.result():
                        return True
                    continue
            return lease_s < left_s

    async def _has_freed(self, since: int) -> bool:
        if self._database.locks_rows:
            # Events are not committed in the order of their numbers.
            return self._database.room.rung != since
        return await self._read(lambda books: books.has_freed(since))

    async def _either(self, bell: Bell, seconds: float) -> None:
        sleep = self._clock.sleep if self._clock else asyncio.sleep
        timer = asyncio.ensure_future(sleep(seconds))
        try:
            both: set[asyncio.Future[Any]] = {bell, timer}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()

    def _monotonic(self) -> float:
        return self._clock.monotonic() if self._clock else asyncio.get_running_loop().time()

    async def _reserve(self, request: Request, wish: Wish, *, sweep: bool) -> Admission | None:
        """The answer; None means that holds of the dead must be closed first, with `sweep`."""

        def decide(books: Books) -> tuple[Admission, bool] | None:
            return _reserve(books, request, wish.limits, sweep=sweep)

        # With a sweep alone, because that locks what it cannot name beforehand.
        group, named = (self._loner, None) if sweep else (self._callers, wish)
        asking = self._database.ask(group, (decide, named))
        try:
            answer, _ = await asyncio.shield(asking)
        except asyncio.CancelledError:
            answer, _ = await asking
            if answer is not None:
                await self._undo(request, *answer)
            raise
        return None if answer is None else answer[0]

    async def _undo(self, request: Request, admission: Admission, is_new: bool) -> None:
        """Free what a caller who is gone was granted; it never sent anything."""
        if admission.entry and is_new:
            fence = admission.entry.fence
            await self.release(request.request_id, fence, unbilled=request.sends)

    async def _command(
        self, request_id: str, commands: Commands, fence: int, actual: Amounts | None = None
    ) -> Entry:
        def act(books: Books) -> Entry | str:
            sight = books.look(request_id, lock=True)
            entry = sight.entry
            if entry is None:
                return _nothing(request_id, entry, commands[EntryState.HELD])
            command = commands[entry.state]
            if command is None:
                return entry
            done = post(
                entry, command, now=books.now, fence=fence, actual=actual, units=sight.units
            )
            if isinstance(done, Refusal):
                books.rests_on_time()
                return done.reason
            books.change((entry, command.value, done))
            return done.entry

        patient = commands is _SETTLE
        return _ours(await self._write(act, Wish(request_id), patient=patient))

    async def _write(self, work: Callable[[Books], T], wish: Wish, *, patient: bool = False) -> T:
        """Together with what others want at the same moment."""
        asking = self._database.ask(self._callers, (work, wish), patient=patient)
        answer: T = (await asking)[0]
        return answer

    async def _write_alone(self, work: Callable[[Books], T]) -> T:
        """In a transaction of its own, for work that locks what it cannot name beforehand."""
        answer: T = (await self._database.ask(self._loner, (work, None)))[0]
        return answer

    async def _read(self, work: Callable[[Books], T]) -> T:
        return await self._database.read(lambda connection: work(self._books(connection)))

    def _books(self, connection: Connection) -> Books:
        return Books(
            connection,
            self._clock,
            locks_rows=self._database.locks_rows,
            sender=self._database.room.sender,
        )


class _Callers:
    """Those who write to the ledger in one transaction; each is answered in turn.

    An answer comes with whether somebody's work in that transaction may have made room.
    """

    def __init__(
        self, open_books: Callable[[Connection], Books], ring: Callable[[], None], most: int
    ) -> None:
        self._open_books = open_books
        self._ring = ring
        self.most = most

    def transact(self, connection: Connection, asked: Sequence[_Asked]) -> Sequence[_Answer]:
        books = self._open_books(connection)
        books.prepare([wish for _, wish in asked if wish])
        answers = [work(books) for work, _ in asked]
        books.write()
        books.keep_time()
        return [(answer, books.freed) for answer in answers]

    def committed(self, answers: Sequence[_Answer]) -> None:
        if any(freed for _, freed in answers):
            self._ring()


def _reserve(
    books: Books, request: Request, limits: Sequence[Limit], *, sweep: bool
) -> tuple[Admission, bool] | None:
    """Decide and book in one transaction.

    A hold whose caller crashed must not refuse anybody; None means that there may be such holds,
    to be asked again with `sweep`. They are closed before any books are locked, not after.
    """
    sight = books.look(request.request_id)
    frames = books.frames(limits, to_use=True)
    closed = books.close_expired(SWEPT_TOGETHER, also=frames) if sweep else ()
    if closed:
        sight = books.look(request.request_id)
    accounts = books.accounts(frames, lock=True)
    admission = admit(request, tuple(own.balance for own in accounts.values()), books.now)
    is_new = sight.entry is None
    if is_new and admission.granted:
        return books.hold(admission, accounts), True
    if len(closed) == SWEPT_TOGETHER or (not sweep and books.is_any_expired()):
        return None
    if sight.entry is not None:
        return _again(sight.entry, admission), False
    books.note_denied(request)
    return admission, False


def _again(entry: Entry, admission: Admission) -> Admission:
    """The answer to a request that has an entry already: what became of it."""
    return Admission(
        granted=not entry.state.final,
        zone=admission.zone,
        reason=f"{entry.request_id} is {entry.state}"
        + (f": {entry.reason}" if entry.reason else ""),
        entry=entry,
    )


def _nothing(request_id: str, entry: Entry | None, command: str | None) -> str:
    stands = f"is {entry.state}" if entry else "is not in the books"
    return f"{request_id} {stands}: {command} does not apply"


def _ours(answer: Entry | str) -> Entry:
    if isinstance(answer, str):
        raise ReservationLost(
            answer, next_step="Do not send it; ask for a new reservation under a new id."
        )
    return answer
