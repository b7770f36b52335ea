"""How long a caller waits at most, how often a lost server is tried, who wins when many write."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from helios.mirrors.outage import FIRST_S, LONGEST_S, Outage
from helios.mirrors.redis_mirror import TIMEOUT_S
from helios.ports.mirror import Found, Put, StatusMirror
from helios.services.mirroring import TRIES, StatusMirroring
from helios.testing.clock import MovableClock
from tests.mirrors.redis_server import RedisServer
from tests.mirrors.rooms import Rooms, in_rooms, without_age


class OddServer:
    """Speaks a little Redis: says OK to everything, slowly, or hangs up."""

    def __init__(self, delay_s: float | None) -> None:
        self.delay_s = delay_s
        self.calls = 0
        self.callers: list[asyncio.StreamWriter] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        self.callers.append(writer)
        with contextlib.suppress(ConnectionError):
            while self.delay_s is not None and (line := await reader.readline()):
                if line.startswith(b"*"):
                    await asyncio.sleep(self.delay_s)
                    writer.write(b"+OK\r\n")
                    await writer.drain()
        writer.close()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        try:
            yield f"redis://:pw@127.0.0.1:{server.sockets[0].getsockname()[1]}/1"
        finally:
            server.close()
            for caller in self.callers:
                caller.close()
                with contextlib.suppress(ConnectionError):
                    await caller.wait_closed()


def test_slow_steps_are_slow_together(tmp_path: Path) -> None:
    """Log in, select, get: each in time, all together not."""

    async def work(rooms: Rooms) -> None:
        async with OddServer(TIMEOUT_S * 0.6).listening() as url:
            with capture_logs() as lines:
                assert (await rooms.mirroring(url).read()).source == "ledger"
            assert [line["why"] for line in lines] == ["it does not answer in time"]

    in_rooms(tmp_path, work)


def test_a_lost_server_is_left_alone_for_a_while(tmp_path: Path) -> None:
    server = OddServer(None)

    async def work(rooms: Rooms) -> None:
        async with server.listening() as url:
            mirroring = rooms.mirroring(url)
            await mirroring.read()
            first = server.calls
            for _ in range(20):
                await mirroring.read()
            assert server.calls == first > 0
            rooms.clock.move(FIRST_S)
            for _ in range(20):
                await mirroring.read()
            assert server.calls == 2 * first

    in_rooms(tmp_path, work)


def test_pauses_grow_with_tries_and_not_with_callers() -> None:
    clock = MovableClock()
    outage = Outage("redis://x", clock)
    pauses = []
    for _ in range(8):
        assert outage.may_try("read")
        for _ in range(5):
            outage.failed("read", TimeoutError())
        assert outage.may_try("write"), "each way fails for itself"
        assert not outage.may_try("read")
        pauses.append(outage.pause_s("read"))
        clock.move(pauses[-1])
    assert pauses == [FIRST_S, 1.0, 2.0, 4.0, 8.0, LONGEST_S, LONGEST_S, LONGEST_S]
    assert [outage.may_try("read") for _ in range(3)] == [True, False, False]
    outage.worked("read")
    assert outage.may_try("read")
    assert outage.pause_s("read") == 0


class Crowded:
    """A mirror that somebody else writes to between the look and the put, `times` times."""

    def __init__(self, mirror: StatusMirror, other: StatusMirroring, times: int) -> None:
        self.mirror = mirror
        self.other = other
        self.times = times

    async def look(self, name: str) -> Found | None:
        return await self.mirror.look(name)

    async def put(self, name: str, text: bytes, *, instead_of: Found) -> Put:
        if self.times:
            self.times -= 1
            await self.other.rebuild()
        return await self.mirror.put(name, text, instead_of=instead_of)

    def watch(self, name: str) -> AsyncIterator[bytes]:
        return self.mirror.watch(name)

    async def close(self) -> None:
        await self.mirror.close()


@pytest.mark.parametrize("times", [1, TRIES - 1, TRIES])
def test_who_is_overtaken_tries_again(redis: RedisServer, tmp_path: Path, times: int) -> None:
    async def work(rooms: Rooms) -> None:
        crowded = Crowded(rooms.mirror(redis.url), rooms.mirroring(redis.url), times)
        mirroring = rooms.mirroring(crowded)
        await rooms.spend("a")
        assert await mirroring.rebuild() is (times < TRIES)
        assert without_age((await mirroring.read()).status) == await rooms.truth()

    in_rooms(tmp_path, work)
