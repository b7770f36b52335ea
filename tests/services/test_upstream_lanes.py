"""A rate limit holds the requests of its lane; the others go past them, and nobody is forgotten."""

import asyncio
import math

import pytest

from helios.domain.gateway.concurrency import DECREASE
from helios.errors import Overloaded, RateLimited
from helios.ports.upstream import UpstreamReply, UpstreamRequest
from helios.services import upstreams
from tests.services.test_upstreams import Scene, narrow, run

OPUS, HAIKU, COUNT = "opus", "하이쿠", "/v1/messages/count_tokens"


async def sent(here: Scene, lane: str, timeout_s: float = 600.0) -> UpstreamReply:
    request = UpstreamRequest("POST", "/v1/messages", (), b"", timeout_s, lane)
    return await asyncio.wait_for(here.guard.send(request), 10)  # else a mistake would hang


async def call(here: Scene, lane: str, timeout_s: float = 600.0) -> int:
    reply = await sent(here, lane, timeout_s)
    await reply.close()
    return reply.status


async def limited(here: Scene, lane: str, retry_after: str = "20") -> None:
    """The lane has been refused; after that the server answers 200."""
    here.status, here.retry_after = 429, retry_after
    assert await call(here, lane) == 429
    here.status, here.retry_after = 200, ""


def start(here: Scene, lane: str) -> "asyncio.Task[int]":
    return asyncio.create_task(call(here, lane))


def test_a_rate_limit_of_one_lane_holds_no_other() -> None:
    async def part(here: Scene) -> None:
        await limited(here, OPUS)
        held = [start(here, OPUS) for _ in range(3)]
        await here.settled(in_flight=0, waiting=3)
        for _ in range(5):
            assert await call(here, HAIKU) == 200
        assert here.guard.state.waiting == 3
        here.clock.move(20)
        assert await asyncio.gather(*held) == [200] * 3

    run(part)


def test_who_goes_past_a_held_lane_goes_at_once() -> None:
    async def part(here: Scene) -> None:
        await limited(here, OPUS)
        held = start(here, OPUS)
        await here.settled(in_flight=0, waiting=1)
        request = UpstreamRequest("POST", "/v1/messages", (), lane=HAIKU)
        with pytest.raises(StopIteration) as returned:
            here.guard.begin(request).send(None)  # runs up to where it would have to wait
        await (await returned.value.value).close()
        here.clock.move(20)
        assert await held == 200

    run(part)


@pytest.mark.parametrize("status", [503, 529])
def test_an_overload_holds_its_lane_and_lowers_the_limit_of_all(status: int) -> None:
    async def part(here: Scene) -> None:
        here.status, here.retry_after = status, "20"
        await call(here, OPUS)
        here.status = 200
        held = start(here, OPUS)
        await here.settled(in_flight=0, waiting=1)
        assert await call(here, HAIKU) == 200
        assert here.guard.state.limit == math.floor(64 * DECREASE)
        here.clock.move(20)
        assert await held == 200

    run(part)


@pytest.mark.parametrize("status", [429, 503, 529])
def test_what_costs_nothing_holds_only_itself(status: int) -> None:
    async def part(here: Scene) -> None:
        here.status, here.retry_after = status, "40"
        assert await call(here, COUNT) == status
        here.status = 200
        assert here.guard.state.limit == 64
        assert await call(here, OPUS) == 200
        with pytest.raises(RateLimited if status == 429 else Overloaded) as caught:
            await call(here, COUNT)
        assert caught.value.retry_after_s == 40

    run(part)


def test_a_first_rate_limit_holds_as_many_as_it_met() -> None:
    async def part(here: Scene) -> None:
        others = [await sent(here, OPUS) for _ in range(3)]
        await limited(here, OPUS, "")
        waiting = start(here, OPUS)
        await here.settled(in_flight=3, waiting=1)
        for reply in others:
            await reply.close()
        assert await waiting == 200

    run(part, concurrency=narrow(2000))


def test_a_lane_that_keeps_being_refused_leaves_the_others_their_limit() -> None:
    async def part(here: Scene) -> None:
        for _ in range(20):
            here.clock.move(1)
            await limited(here, OPUS, "")
        assert here.guard.state.limit == 64
        opus = [await sent(here, OPUS)]
        waiting = start(here, OPUS)
        await here.settled(in_flight=1, waiting=1)
        others = [await sent(here, HAIKU) for _ in range(30)]
        assert here.guard.state.waiting == 1
        for reply in opus + others:
            await reply.close()
        assert await waiting == 200

    run(part)


def test_those_of_one_lane_go_in_their_order_and_of_several_the_first_who_may() -> None:
    async def part(here: Scene) -> None:
        await limited(here, OPUS)
        only = await sent(here, HAIKU)
        order: list[str] = []

        async def one(lane: str, name: str) -> None:
            reply = await sent(here, lane)
            order.append(name)
            await reply.close()

        tasks = []
        for number, lane in enumerate([OPUS, HAIKU, OPUS, HAIKU]):
            tasks.append(asyncio.create_task(one(lane, f"{lane} {number}")))
            await here.settled(in_flight=1, waiting=number + 1)
        await only.close()
        await asyncio.gather(tasks[1], tasks[3])
        last = await sent(here, HAIKU)
        tasks.append(asyncio.create_task(one(HAIKU, f"{HAIKU} 4")))
        await here.settled(in_flight=1, waiting=3)
        here.clock.move(20)
        await last.close()
        await asyncio.gather(*tasks)
        assert order == [f"{HAIKU} 1", f"{HAIKU} 3", f"{OPUS} 0", f"{OPUS} 2", f"{HAIKU} 4"]

    run(part, concurrency=narrow(1))


def test_the_end_of_a_pause_is_noticed_by_who_was_first_kept_by_others() -> None:
    async def part(here: Scene) -> None:
        await limited(here, OPUS)
        only = await sent(here, HAIKU)
        held = start(here, OPUS)
        await here.settled(in_flight=1, waiting=1)
        await only.close()
        await here.settled(in_flight=0, waiting=1)
        here.clock.move(20)
        assert await held == 200

    run(part, concurrency=narrow(1))


def test_who_cannot_wait_so_long_is_told_of_the_provider_s_limit_at_once() -> None:
    async def part(here: Scene) -> None:
        await limited(here, OPUS, "40")
        with pytest.raises(RateLimited) as caught:
            await call(here, OPUS)
        assert (caught.value.billed, caught.value.retry_after_s) == ("no", 40)
        assert OPUS in caught.value.message
        here.clock.move(30)
        with pytest.raises(RateLimited) as caught:
            await call(here, OPUS, timeout_s=5)
        assert caught.value.retry_after_s == 10
        assert len(here.server.requests) == 1
        assert (here.guard.state.in_flight, here.guard.state.waiting) == (0, 0)
        here.status, here.retry_after = 529, "50"
        await call(here, HAIKU)
        with pytest.raises(Overloaded) as overloaded:
            await call(here, HAIKU)
        assert overloaded.value.retry_after_s == 50

    run(part)


def test_a_line_that_is_full_keeps_no_other_lane_out() -> None:
    async def part(here: Scene) -> None:
        await limited(here, OPUS)
        held = [start(here, OPUS) for _ in range(2)]
        await here.settled(in_flight=0, waiting=2)
        with pytest.raises(Overloaded):
            await call(here, OPUS)
        only = await sent(here, HAIKU)
        waiting = start(here, HAIKU)
        await here.settled(in_flight=1, waiting=3)
        await only.close()
        assert await waiting == 200
        await here.guard.close()
        told = await asyncio.gather(*held, return_exceptions=True)
        assert [type(error) for error in told] == [Overloaded] * 2
        assert (here.guard.state.in_flight, here.guard.state.waiting) == (0, 0)

    run(part, concurrency=narrow(1), most_waiting=2)


def test_who_goes_while_its_lane_is_held_leaves_no_trace() -> None:
    async def part(here: Scene) -> None:
        await limited(here, OPUS)
        gone, stays = start(here, OPUS), start(here, OPUS)
        await here.settled(in_flight=0, waiting=2)
        gone.cancel()
        await here.settled(in_flight=0, waiting=1)
        here.clock.move(20)
        assert await stays == 200
        assert len(here.server.requests) == 2

    run(part)


def test_lanes_that_are_idle_are_forgotten_but_no_pause() -> None:
    async def part(here: Scene) -> None:
        await limited(here, OPUS)
        for number in range(3 * upstreams.MOST_LANES):
            assert await call(here, f"/v1/models/{number}") == 200
        assert len(here.guard._lanes) <= upstreams.MOST_LANES
        held = start(here, OPUS)
        await here.settled(in_flight=0, waiting=1)
        here.clock.move(20)
        assert await held == 200

    run(part)
