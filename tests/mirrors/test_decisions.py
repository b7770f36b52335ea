"""The governor decides the same with a mirror, with a broken one, and without."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helios.domain.budget.ledger import Admission, Request
from helios.domain.budget.throttle import Throttle
from helios.domain.pricing import Tier
from helios.errors import HeliosError
from helios.services.mirroring import StatusMirroring
from tests.mirrors.redis_server import RedisServer
from tests.mirrors.rooms import KEY, ONE, SCOPE, Rooms, in_rooms

pytestmark = pytest.mark.slow

STEPS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(Tier), st.integers(1, 10)),
    st.tuples(st.sampled_from(["settle", "release"]), st.integers(0, 5)),
    st.tuples(st.just("pass"), st.sampled_from([0.3, 2.0, 61.0, 5 * 3600.0])),
    st.tuples(st.just("brake"), st.sampled_from(["throttle", "critical", "paused", None])),
    st.tuples(st.sampled_from(["rebuild", "lie", "flush"])),
)
SCRIPTS = st.lists(STEPS, min_size=5, max_size=40)


class Script:
    """A person, callers and a governor; everything it answered is kept."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.governor = rooms.governor()
        self.asked: list[str] = []
        self.answers: list[object] = []

    async def do(self, step: tuple) -> None:
        ledger, clock = self.rooms.stores.ledger, self.rooms.clock
        match step:
            case ("ask", tier, priority):
                self.asked.append(f"요청-{len(self.asked)}")
                request = Request(self.asked[-1], tier, ONE, priority=priority, lease_s=60.0)
                limits = self.governor.ceilings.of_account()
                self.answers.append(_told(await self.governor.reserve(request, limits)))
            case ("settle", back) if back < len(self.asked):
                name = self.asked[-1 - back]
                try:
                    await ledger.mark_sent(name, 1)
                    self.answers.append((await self.governor.settle(name, 1, ONE)).state)
                except HeliosError as error:
                    self.answers.append(error.message)
            case ("release", back) if back < len(self.asked):
                try:
                    self.answers.append((await ledger.release(self.asked[-1 - back], 1)).state)
                except HeliosError as error:
                    self.answers.append(error.message)
            case ("pass", seconds):
                clock.move(seconds)
            case ("brake", level):
                brake = Throttle(level, clock.now(), clock.now() + 100) if level else None
                await self.rooms.stores.budget.set_throttle(brake)


def _told(answer: Admission) -> tuple[object, ...]:
    return (answer.granted, answer.zone, answer.reason, answer.binding, answer.resets_at)


async def disturb(step: tuple, mirroring: StatusMirroring, server: RedisServer) -> None:
    match step:
        case ("rebuild",):
            await mirroring.rebuild()
        case ("lie",):
            server.run("SET", KEY, '{"spent": 0}')
        case ("flush",):
            server.run("FLUSHALL")
        case _:
            await mirroring.read()
    mirroring.changed()
    await asyncio.sleep(0.001)


def answers(
    steps: list[tuple], server: RedisServer, *, mirrored: bool, shared: bool = False
) -> list[object]:
    async def work(rooms: Rooms) -> list[object]:
        script = Script(rooms)
        mirroring = rooms.mirroring(server.url)
        if shared:
            mirror = rooms.mirror(server.url)
            mirroring = StatusMirroring(script.governor, mirror, rooms.clock, SCOPE)
        async with AsyncExitStack() as stack:
            if mirrored:
                await stack.enter_async_context(mirroring.kept())
            for step in steps:
                await script.do(step)
                if mirrored:
                    await disturb(step, mirroring, server)
        return script.answers

    with tempfile.TemporaryDirectory() as folder:
        return in_rooms(Path(folder), work)


def test_no_decision_differs(redis: RedisServer) -> None:
    @settings(max_examples=25)
    @given(SCRIPTS)
    def holds(steps: list[tuple]) -> None:
        assert answers(steps, redis, mirrored=True) == answers(steps, redis, mirrored=False)

    holds()


def test_no_decision_differs_while_redis_is_killed_hangs_and_is_full(redis_with) -> None:
    server = redis_with()
    one = ("ask", Tier.STANDARD, 10)
    steps = [one, ("settle", 0), ("pass", 0.3), ("brake", "paused"), ("pass", 2.0)] * 2 + [one] * 20
    alone = answers(steps, server, mirrored=False)
    server.run("CONFIG", "SET", "maxmemory", "1")
    assert answers(steps, server, mirrored=True) == alone
    with server.hanging():
        assert answers(steps, server, mirrored=True) == alone
    server.kill()
    assert answers(steps, server, mirrored=True) == alone


def test_a_mirror_that_shares_the_governor_is_found(redis: RedisServer) -> None:
    """A look refreshes what its governor knows of the brake."""
    ask = ("ask", Tier.STANDARD, 10)
    steps = [ask, ("brake", "paused"), ("rebuild",), ask]
    alone = answers(steps, redis, mirrored=False)
    assert answers(steps, redis, mirrored=True) == alone
    assert answers(steps, redis, mirrored=True, shared=True) != alone
