"""Whatever happens in whatever order, the mirror at rest says what the ledger says.

Each property is also shown to find the bug it is there for: a writer that overwrites what it has
not seen, a mirror that adds up instead of setting.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from helios.domain.budget.ledger import Request
from helios.domain.pricing import Tier
from helios.errors import ReservationLost
from helios.mirrors.redis_mirror import RedisMirror
from helios.ports.mirror import Found, Put, StatusMirror
from helios.services.governor import BudgetStatus
from helios.services.mirroring import MAX_AGE_S, StatusMirroring
from helios.services.snapshots import decode, encode
from tests.mirrors.redis_server import RedisServer
from tests.mirrors.rooms import KEY, ONE, Rooms, in_rooms, without_age

pytestmark = pytest.mark.slow

LEASE_S = 30.0
BLIND_PUT = "redis.call('SET', KEYS[1], ARGV[2]) return 1"
GARBAGE = st.sampled_from([b"", b"{}", b"\xff", "엉터리".encode()])
STEPS = st.one_of(
    st.tuples(st.sampled_from(["spend", "hold", "release", "write", "hang", "wake", "look"])),
    st.tuples(st.sampled_from(["flush", "keep", "bring back", "restart"])),
    st.tuples(st.just("pass"), st.sampled_from([0.1, 3.0, LEASE_S + 1, 5 * 3600.0])),
    st.tuples(st.just("spoil"), GARBAGE),
)


@dataclass
class Late:
    """A mirror whose writers stop between looking and putting, until they are woken."""

    mirror: StatusMirror
    holds: bool = False
    arrived: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    stopped: list[asyncio.Event] = field(default_factory=list)

    async def look(self, name: str) -> Found | None:
        return await self.mirror.look(name)

    async def put(self, name: str, text: bytes, *, instead_of: Found) -> Put:
        if self.holds:
            self.stopped.append(asyncio.Event())
            self.arrived.release()
            await self.stopped[-1].wait()
        return await self.mirror.put(name, text, instead_of=instead_of)

    def watch(self, name: str) -> AsyncIterator[bytes]:
        return self.mirror.watch(name)

    async def close(self) -> None:
        await self.mirror.close()


class Play:
    """Two writers and a reader over one ledger and one Redis."""

    def __init__(self, rooms: Rooms, server: RedisServer, *, blind: bool = False) -> None:
        self.rooms = rooms
        self.server = server
        self.late = Late(self._mirror(blind))
        self.prompt = rooms.mirroring(self._mirror(blind))
        self.sleepy = rooms.mirroring(self.late)
        self.reader = rooms.mirroring(server.url)
        self.asleep: list[asyncio.Task[bool]] = []
        self.truths: list[tuple[float, BudgetStatus]] = []
        self.held: list[str] = []
        self.kept: object = None
        self.count = 0

    def _mirror(self, blind: bool) -> StatusMirror:
        mirror = self.rooms.mirror(self.server.url)
        if blind:
            assert isinstance(mirror, RedisMirror)
            mirror._put = mirror._redis.register_script(BLIND_PUT)
        return mirror

    async def note(self) -> None:
        self.truths.append((self.rooms.clock.now(), await self.rooms.truth()))

    async def do(self, step: tuple) -> None:
        match step:
            case ("spend",):
                self.count += 1
                await self.rooms.spend(f"지출-{self.count}")
            case ("hold",):
                await self.hold()
            case ("release",) if self.held:
                await self.release(self.held.pop())
            case ("write",):
                await self.prompt.rebuild()
            case ("hang",):
                await self.hang()
            case ("wake",):
                await self.wake()
            case ("look",):
                await self.look()
            case ("pass", seconds):
                self.rooms.clock.move(seconds)
                await self.rooms.stores.ledger.sweep()
            case _:
                self.harm(step)

    def harm(self, step: tuple) -> None:
        match step:
            case ("flush",):
                self.server.run("FLUSHALL")
            case ("restart",):
                self.server.restart()
            case ("keep",):
                self.kept = self.server.run("GET", KEY)
            case ("bring back",) if isinstance(self.kept, bytes):
                self.server.run("SET", KEY, self.kept)
            case ("spoil", text):
                self.server.run("SET", KEY, text)

    async def hold(self) -> None:
        self.count += 1
        governor = self.rooms.governor()
        request = Request(f"h{self.count}", Tier.STANDARD, ONE, priority=10, lease_s=LEASE_S)
        if (await governor.reserve(request, governor.ceilings.of_account())).granted:
            self.held.append(request.request_id)

    async def release(self, name: str) -> None:
        try:
            await self.rooms.stores.ledger.release(name, 1)
        except ReservationLost:
            entry = await self.rooms.stores.ledger.entry(name)
            assert entry is not None
            assert entry.state.final

    async def hang(self) -> None:
        """A writer that has looked, and stops before it puts."""
        self.late.holds = True
        self.asleep.append(asyncio.create_task(self.sleepy.rebuild()))
        arrived = asyncio.create_task(self.late.arrived.acquire())
        await asyncio.wait({arrived, self.asleep[-1]}, return_when=asyncio.FIRST_COMPLETED)
        arrived.cancel()

    async def wake(self) -> None:
        self.late.holds = False
        for event in self.late.stopped:
            event.set()
        await asyncio.gather(*self.asleep)
        self.asleep.clear()

    async def look(self) -> None:
        """What is shown was true at its time, which is not long ago."""
        reading = await self.reader.read()
        assert reading.status.at >= self.rooms.clock.now() - MAX_AGE_S
        assert (reading.status.at, without_age(reading.status)) in self.truths

    async def come_to_rest(self) -> None:
        """All who heard of a change have written, and all who were late have woken up."""
        self.rooms.clock.move(60)
        await self.rooms.stores.ledger.sweep()
        await self.note()
        await self.prompt.rebuild()
        await self.wake()
        reading = await self.reader.read()
        assert reading.source == "mirror"
        assert without_age(reading.status) == self.truths[-1][1]


def play(steps: list[tuple], server: RedisServer, *, blind: bool = False) -> None:
    async def work(rooms: Rooms) -> None:
        server.run("FLUSHALL")
        scene = Play(rooms, server, blind=blind)
        await scene.note()
        for step in steps:
            await scene.do(step)
            await scene.note()
        await scene.come_to_rest()

    with tempfile.TemporaryDirectory() as folder:
        in_rooms(Path(folder), work)


def test_the_mirror_at_rest_is_the_ledger(redis: RedisServer) -> None:
    @settings(max_examples=25)
    @given(st.lists(STEPS, max_size=25))
    def holds(steps: list[tuple]) -> None:
        play(steps, redis)

    holds()


def test_a_writer_that_overwrites_what_it_has_not_seen_is_found(redis: RedisServer) -> None:
    @settings(max_examples=60, phases=[Phase.generate])
    @given(st.lists(STEPS, max_size=25))
    def holds(steps: list[tuple]) -> None:
        play(steps, redis, blind=True)

    with pytest.raises(AssertionError):
        holds()


class Adding:
    """The planted bug: amounts are added to what the mirror holds."""

    def __init__(self, mirror: StatusMirror, server: RedisServer) -> None:
        self.mirror = mirror
        self.server = server

    async def look(self, name: str) -> Found | None:
        found = await self.mirror.look(name)
        snapshot = decode(found.text) if found and found.text else None
        if snapshot is None:
            return found
        gauges = tuple(
            replace(gauge, spent=int(self.server.run("HGET", "sums", gauge.key) or 0))  # type: ignore[call-overload]
            for gauge in snapshot.status.gauges
        )
        summed = replace(snapshot, status=replace(snapshot.status, gauges=gauges))
        return Found(encode(summed))

    async def put(self, name: str, text: bytes, *, instead_of: Found) -> Put:
        snapshot = decode(text)
        assert snapshot is not None
        for gauge in snapshot.status.gauges:
            self.server.run("HINCRBY", "sums", gauge.key, gauge.spent)
        raw = await self.mirror.look(name)
        assert raw is not None
        return await self.mirror.put(name, text, instead_of=raw)

    def watch(self, name: str) -> AsyncIterator[bytes]:
        return self.mirror.watch(name)

    async def close(self) -> None:
        await self.mirror.close()


async def rebuild_is_idempotent(rooms: Rooms, mirroring: StatusMirroring, name: str) -> None:
    """Invariant 13, with calls held and spent in between."""
    for number in range(3):
        await rooms.spend(f"{name}-{number}")
        truth = await rooms.truth()
        for _ in range(3):
            assert await mirroring.rebuild()
            reading = await mirroring.read()
            assert reading.source == "mirror"
            assert without_age(reading.status) == truth


def test_rebuilding_is_idempotent_and_adding_up_is_found(
    redis: RedisServer, tmp_path: Path
) -> None:
    async def work(rooms: Rooms) -> None:
        await rebuild_is_idempotent(rooms, rooms.mirroring(redis.url), "하나")
        redis.run("FLUSHALL")
        adding = rooms.mirroring(Adding(rooms.mirror(redis.url), redis))
        with pytest.raises(AssertionError, match="spent"):
            await rebuild_is_idempotent(rooms, adding, "둘")

    in_rooms(tmp_path, work)
