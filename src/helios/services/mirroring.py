"""The budget's status in a mirror: written from the ledger, checked by whoever reads it.

A snapshot's version is the ledger's time and a number that grows. It is put in place of the one
that was there before the ledger was read, or not at all: so what stands is never older than what
stood, however late a writer wakes up. It is composed anew each time, never added to.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal

import structlog

from helios.errors import HeliosError
from helios.ports.clock import Clock
from helios.ports.mirror import Found, Put, StatusMirror
from helios.services.governor import BudgetStatus, Governor
from helios.services.snapshots import Snapshot, Version, decode, encode

MAX_AGE_S = 5.0
"""Older than this, a snapshot is not shown."""

FUTURE_S = 1.0
"""How far clocks may differ; a version further ahead is somebody else's."""

HEARTBEAT_S = 2.0
"""A snapshot is renewed at least so often, because time alone changes what it says."""

SPACING_S = 0.05
"""Changes so close together are written as one."""

TRIES = 5

Source = Literal["mirror", "ledger"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A status, where it was read, and how old it is in seconds."""

    status: BudgetStatus
    source: Source
    age_s: float


def scope_of(plan: str, books: str) -> str:
    """The name of a plan's snapshot; `books` is the address of the database with its ledger."""
    return f"{plan}@{sha256(books.encode()).hexdigest()[:12]}"


class StatusMirroring:
    """Keeps the mirror like the ledger, and reads it where it may be believed."""

    def __init__(
        self,
        governor: Governor,
        mirror: StatusMirror,
        clock: Clock,
        scope: str,
        *,
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        """Mirror what `governor` says of everybody under the name `scope` (see `scope_of`).

        The governor is one of its own, as are its ceilings: a look at the status refreshes the
        rules and the brake, and who admits calls must not see them sooner for being watched.
        """
        self._governor = governor
        self._mirror = mirror
        self._clock = clock
        self._scope = scope
        self._max_age_s = max_age_s
        self._last = Version(0.0, 0)
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """The ledger has changed. Returns at once; the mirror is written in the background."""
        self._changed.set()

    async def read(self) -> Reading:
        """The status, from the mirror if what stands there may be believed, else the ledger."""
        snapshot = self._believed(await self._mirror.look(self._scope))
        if snapshot is None:
            return Reading(await self._governor.status(), "ledger", 0.0)
        return self._shown(snapshot)

    async def watch(self) -> AsyncIterator[Reading]:
        """Every newer status as soon as it is mirrored, without an end."""
        last = Version(0.0, 0)
        async for text in self._mirror.watch(self._scope):
            snapshot = self._believed(Found(text))
            if snapshot and snapshot.version > last:
                last = snapshot.version
                yield self._shown(snapshot)

    async def rebuild(self) -> bool:
        """Make the mirror say what the ledger says.

        Returns:
            False when the mirror does not answer, or others kept writing in between; what they
            write is the ledger's as well, and `kept` tries again.

        Raises:
            StoreError: the ledger cannot be read.
        """
        for _ in range(TRIES):
            before = await self._mirror.look(self._scope)
            if before is None:
                return False
            text = await self._composed(before)
            put = await self._mirror.put(self._scope, text, instead_of=before)
            if put is not Put.REFUSED:
                return put is Put.DONE
        self._changed.set()
        return False

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep the mirror like the ledger while the block runs, and once more at its end."""
        ended = asyncio.Event()
        keeping = asyncio.create_task(self._keep(ended))
        try:
            yield
        finally:
            # Told to end, not cancelled: a driver in the midst of a call may swallow that.
            ended.set()
            await keeping

    async def _keep(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            self._changed.clear()
            await self._rebuild_if_possible()
            await _first(ended.wait(), self._clock.sleep(SPACING_S))
            await _first(ended.wait(), self._changed.wait(), self._clock.sleep(HEARTBEAT_S))
        await self._rebuild_if_possible()

    async def _rebuild_if_possible(self) -> None:
        try:
            await self.rebuild()
        except HeliosError as error:
            structlog.get_logger("helios.budget").warning(
                "the status was not mirrored", why=error.message
            )

    async def _composed(self, before: Found) -> bytes:
        """The ledger's status as a text with the next version."""
        await self._governor.refresh(now=True)
        status = await self._governor.status()
        found = decode(before.text) if before.text else None
        earlier = [v for v in (self._last, found and found.version) if v and v.at <= status.at]
        seq = max((version.seq for version in earlier), default=0) + 1
        self._last = Version(status.at, seq)
        return encode(Snapshot(self._scope, self._last, status))

    def _believed(self, found: Found | None) -> Snapshot | None:
        """What was found, if it is of this scope, of this time, and still true by its own word."""
        snapshot = decode(found.text) if found and found.text else None
        if snapshot is None or snapshot.scope != self._scope:
            return None
        now = self._clock.now()
        age_s = now - snapshot.version.at
        ends = [gauge.resets_at for gauge in snapshot.status.gauges]
        brake = snapshot.status.brake
        ends.append(brake.until if brake else None)
        is_over = any(end is not None and end <= now for end in ends)
        return None if is_over or not -FUTURE_S <= age_s <= self._max_age_s else snapshot

    def _shown(self, snapshot: Snapshot) -> Reading:
        age_s = max(0.0, self._clock.now() - snapshot.version.at)
        status = snapshot.status
        gauges = tuple(replace(gauge, age_s=gauge.age_s + age_s) for gauge in status.gauges)
        return Reading(replace(status, gauges=gauges), "mirror", age_s)


async def _first(*ends: Coroutine[Any, Any, object]) -> None:
    """Wait until one of these is over."""
    waiting = [asyncio.ensure_future(end) for end in ends]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in waiting:
            end.cancel()
