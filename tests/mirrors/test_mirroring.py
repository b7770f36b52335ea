"""What the mirror says, what is believed of it, and what its watchers hear."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from helios.domain.budget.throttle import Throttle
from helios.mirrors.redis_mirror import LIVES_S
from helios.ports.mirror import Found, Put
from helios.services.mirroring import HEARTBEAT_S, MAX_AGE_S, Reading, scope_of
from helios.services.snapshots import Snapshot, Version, decode, encode
from tests.mirrors.redis_server import RedisServer
from tests.mirrors.rooms import KEY, SCOPE, Rooms, in_rooms, without_age


def test_what_is_mirrored_is_read_back_letter_by_letter(redis: RedisServer, tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        await rooms.spend("첫 번째")
        brake = Throttle("throttle", rooms.clock.now(), reason="사람이 먼저", by="지수")
        await rooms.stores.budget.set_throttle(brake)
        mirroring = rooms.mirroring(redis.url)
        assert (await mirroring.read()).source == "ledger"
        assert await mirroring.rebuild()
        rooms.clock.move(1.5)
        reading = await mirroring.read()
        assert (reading.source, reading.age_s) == ("mirror", 1.5)
        assert {gauge.age_s for gauge in reading.status.gauges} == {1.5}
        assert without_age(reading.status) == await rooms.truth()
        assert reading.status.brake == brake

    in_rooms(tmp_path, work)


def test_a_snapshot_is_not_shown_when_time_has_passed_over_it(
    redis: RedisServer, tmp_path: Path
) -> None:
    async def work(rooms: Rooms) -> None:
        await rooms.spend("a")
        mirroring = rooms.mirroring(redis.url)

        async def source_after(seconds: float) -> str:
            await mirroring.rebuild()
            rooms.clock.move(seconds)
            return (await mirroring.read()).source

        assert await source_after(MAX_AGE_S - 0.1) == "mirror"
        assert await source_after(MAX_AGE_S + 0.1) == "ledger"
        closes = (await rooms.truth()).gauges[0].resets_at
        assert closes is not None
        rooms.clock.move(closes - rooms.clock.now() - 1)
        assert await source_after(1) == "ledger", "the window has closed since"
        await rooms.stores.budget.set_throttle(
            Throttle("paused", rooms.clock.now(), rooms.clock.now() + 1)
        )
        assert await source_after(0.5) == "mirror"
        assert await source_after(1) == "ledger", "the brake is off since"
        await mirroring.rebuild()
        rooms.clock.move(-3600)
        assert (await mirroring.read()).source == "ledger", "from the future"

    in_rooms(tmp_path, work)


def spoiled(text: bytes) -> dict[str, bytes]:
    """What may stand in the place of a snapshot."""
    said = json.loads(text)
    gauge = said["status"]["gauges"][0]

    def other(**changes: object) -> bytes:
        return json.dumps({**said, **changes}).encode()

    return {
        "empty": b"",
        "cut": text[: len(text) // 2],
        "not text": b"\xff\xfe\x00",
        "another layout": other(layout="helios-0"),
        "another scope": other(scope="max-20x@0123456789ab"),
        "a word too many": other(tenant="x"),
        "no version": other(seq=None),
        "a version of the future": other(at=said["at"] + 9e5),
        "a version that is not its status's": other(at=said["at"] - 1),
        "amounts that are words": other(
            status={**said["status"], "gauges": [{**gauge, "spent": "무한"}]}
        ),
        "no number": text.replace(b'"used":0.05', b'"used":"NaN"'),
    }


def test_what_is_not_a_snapshot_is_passed_over_and_replaced(
    redis: RedisServer, tmp_path: Path
) -> None:
    async def work(rooms: Rooms) -> None:
        await rooms.spend("a")
        mirroring = rooms.mirroring(redis.url)
        await mirroring.rebuild()
        good = redis.run("GET", KEY)
        assert isinstance(good, bytes)
        for name, text in spoiled(good).items():
            assert text != good, name
            redis.run("SET", KEY, text)
            assert (await mirroring.read()).source == "ledger", name
            assert await mirroring.rebuild()
            assert (await mirroring.read()).source == "mirror", name
        redis.run("DEL", KEY)
        redis.run("HSET", KEY, "spent", 1)
        assert (await mirroring.read()).source == "ledger"
        assert await mirroring.rebuild()
        assert (await mirroring.read()).source == "mirror"

    in_rooms(tmp_path, work)


def test_plans_and_ledgers_are_apart(redis: RedisServer, tmp_path: Path) -> None:
    names = {
        scope_of(plan, books)
        for plan in ("max-classic", "max-classic (simulated)")
        for books in ("sqlite:///가.db", "sqlite:///나.db")
    }
    assert len(names) == 4

    async def work(rooms: Rooms) -> None:
        await rooms.mirroring(redis.url).rebuild()
        for name in names:
            assert (await rooms.mirroring(redis.url, name).read()).source == "ledger"

    in_rooms(tmp_path, work)


def test_the_version_only_grows(redis: RedisServer, tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        writers = [rooms.mirroring(redis.url) for _ in range(3)]
        seen = [Version(0.0, 0)]
        for step in range(30):
            await writers[step % 3].rebuild()
            if step % 7 == 0:
                rooms.clock.move(0.25)
            if step == 11:
                redis.run("FLUSHALL")
            found = decode(bytes(redis.run("GET", KEY) or b""))  # type: ignore[arg-type]
            if found:
                assert found.version > seen[-1] or step == 12
                seen.append(found.version)
        assert len(set(seen)) > 28

    in_rooms(tmp_path, work)


def test_a_late_writer_changes_nothing(redis: RedisServer, tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        mirror = rooms.mirror(redis.url)
        saw_nothing = Found(None)
        status = await rooms.truth()
        for at in (1.0, 2.0):
            old = encode(Snapshot(SCOPE, Version(at, 1), replace(status, at=at)))
            assert await mirror.put(SCOPE, old, instead_of=saw_nothing) is (
                Put.DONE if at == 1.0 else Put.REFUSED
            )
        await rooms.mirroring(redis.url).rebuild()
        stands = redis.run("GET", KEY)
        late = Found(old)
        assert await mirror.put(SCOPE, old, instead_of=late) is Put.REFUSED
        assert redis.run("GET", KEY) == stands
        assert 0 < int(redis.run("TTL", KEY)) <= LIVES_S  # type: ignore[call-overload]

    in_rooms(tmp_path, work)


async def until(watched: AsyncIterator[Reading], spent: int) -> Reading:
    async for reading in watched:
        if reading.status.gauges[0].spent == spent:
            return reading
    raise AssertionError("it ended")


@pytest.mark.slow
def test_watchers_hear_what_stands_and_what_comes(redis: RedisServer, tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        writer = rooms.mirroring(redis.url)
        await rooms.spend("a")
        await writer.rebuild()
        watched = rooms.mirroring(redis.url).watch()
        async with asyncio.timeout(30):
            assert (await until(watched, 1)).source == "mirror"
            waiting = asyncio.create_task(until(watched, 2))
            await asyncio.sleep(0.05)
            await rooms.spend("b")
            await writer.rebuild()
            await waiting
            redis.run("CLIENT", "KILL", "TYPE", "pubsub")
            waiting = asyncio.create_task(until(watched, 3))
            await asyncio.sleep(0.05)
            await rooms.spend("c")
            await writer.rebuild()
            while not waiting.done():
                await asyncio.sleep(0.01)
                rooms.clock.move(0.01)
            assert waiting.result().status.gauges[0].spent == 3
        await watched.aclose()

    in_rooms(tmp_path, work)


def test_the_mirror_is_kept_in_the_background(redis: RedisServer, tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        mirroring = rooms.mirroring(redis.url)
        reader = rooms.mirroring(redis.url)

        async def shows(spent: int) -> None:
            async with asyncio.timeout(30):
                while True:
                    reading = await reader.read()
                    if reading.source == "mirror" and reading.status.gauges[0].spent == spent:
                        return
                    await asyncio.sleep(0.005)
                    rooms.clock.move(0.02)

        async with mirroring.kept():
            await shows(0)
            await rooms.spend("a")
            mirroring.changed()
            await shows(1)
            redis.run("FLUSHALL")
            rooms.clock.move(HEARTBEAT_S)
            await shows(1)
            await rooms.spend("b")
        assert (await reader.read()).source == "mirror"
        assert without_age((await reader.read()).status) == await rooms.truth()

    in_rooms(tmp_path, work)
