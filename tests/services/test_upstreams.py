"""A guarded upstream over real connections to a server that answers as told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from helios.domain.gateway.breaker import FIRST_PAUSE_S, TRIP_AFTER, Phase
from helios.domain.gateway.concurrency import Concurrency
from helios.errors import ConnectionLost, ModelTimeout, Overloaded, RequestRefused
from helios.ports.upstream import UpstreamReply, UpstreamRequest
from helios.providers.endpoint import Endpoint
from helios.providers.upstream import HttpUpstream
from helios.services.upstreams import GuardedUpstream
from helios.testing.clock import MovableClock
from tests.providers.raw_server import OK, Peer, RawServer, raw_server, until

REQUEST = UpstreamRequest("POST", "/v1/messages", (), "안녕".encode())


@dataclass
class Scene:
    """A guard before a server; `status` and `retry_after` are what the server answers next."""

    clock: MovableClock = field(default_factory=MovableClock)
    status: int = 200
    retry_after: str = ""
    go: asyncio.Event = field(default_factory=asyncio.Event)
    server: RawServer = field(default_factory=RawServer)
    guard: GuardedUpstream = field(init=False)

    async def talk(self, peer: Peer) -> None:
        await self.go.wait()
        if self.status == 0:
            peer.reset()
            return
        extra = f"retry-after: {self.retry_after}\r\n" if self.retry_after else ""
        head = f"HTTP/1.1 {self.status} x\r\n{extra}content-length: 2\r\n\r\nok"
        await peer.send(head.encode())

    async def call(self, timeout_s: float = 600.0) -> int:
        request = UpstreamRequest("POST", "/v1/messages", (), b"{}", timeout_s)
        reply = await self.guard.send(request)
        try:
            assert b"".join([piece async for piece in reply.chunks()]) == b"ok"
            return reply.status
        finally:
            await reply.close()

    def start(self, **more: Any) -> "asyncio.Task[int]":
        return asyncio.create_task(self.call(**more))

    async def settled(self, *, in_flight: int, waiting: int) -> None:
        """Wait until so many are there."""
        state = lambda: (self.guard.state.in_flight, self.guard.state.waiting)  # noqa: E731
        await until(lambda: state() == (in_flight, waiting))

    async def arrived(self, requests: int) -> None:
        await until(lambda: len(self.server.requests) >= requests)


@asynccontextmanager
async def scene(**more: Any) -> AsyncIterator[Scene]:
    here = Scene()
    here.go.set()
    async with raw_server(here.talk) as here.server:
        direct = HttpUpstream(Endpoint(here.server.url, "key"), here.clock)
        here.guard = GuardedUpstream(direct, here.clock, **more)
        yield here
        await here.guard.close()


def run(part: Callable[[Scene], Awaitable[None]], **more: Any) -> None:
    async def whole() -> None:
        async with scene(**more) as here:
            await part(here)

    asyncio.run(whole())


def narrow(limit: int) -> Concurrency:
    """A limit that does not grow while the clock stands still."""
    return Concurrency(limit=limit, slow_until=limit, lost_at=0.0)


def test_what_the_upstream_says_comes_through_and_the_place_is_free_again() -> None:
    async def part(here: Scene) -> None:
        assert await here.call() == 200
        here.status = 400
        assert await here.call() == 400
        state = here.guard.state
        assert (state.name, state.limit, state.in_flight, state.waiting) == ("anthropic", 64, 0, 0)
        assert state.breaker is Phase.CLOSED
        assert state.since == 1_800_000_000

    run(part)


def test_a_place_is_held_until_the_reply_is_closed_once() -> None:
    async def part(here: Scene) -> None:
        first = await here.guard.send(REQUEST)
        waiting = here.start()
        await here.settled(in_flight=1, waiting=1)
        assert len(here.server.requests) == 1
        await first.close()
        await first.close()
        assert await waiting == 200
        assert here.guard.state.in_flight == 0

    run(part, concurrency=narrow(1))


def test_those_who_wait_go_in_the_order_they_came() -> None:
    async def part(here: Scene) -> None:
        first = await here.guard.send(REQUEST)
        order: list[int] = []

        async def one(number: int) -> None:
            reply = await here.guard.send(REQUEST)
            order.append(number)
            await reply.close()

        tasks = []
        for number in range(8):
            tasks.append(asyncio.create_task(one(number)))
            await here.settled(in_flight=1, waiting=number + 1)
        await first.close()
        late = asyncio.create_task(one(8))
        await asyncio.gather(*tasks, late)
        assert order == list(range(9))

    run(part, concurrency=narrow(1))


def test_nobody_overtakes_when_the_upstream_may_be_asked_again() -> None:
    async def part(here: Scene) -> None:
        here.status, here.retry_after = 429, "7"
        await here.call()
        here.status, order = 200, []

        async def one(number: int) -> None:
            reply = await here.guard.send(REQUEST)
            order.append(number)
            await reply.close()

        early = asyncio.create_task(one(1))
        await here.settled(in_flight=0, waiting=1)
        here.clock.move(7)
        await asyncio.gather(asyncio.create_task(one(2)), early)
        assert order == [1, 2]

    run(part, concurrency=narrow(1))


def test_closing_sends_away_who_waits() -> None:
    async def part(here: Scene) -> None:
        first = await here.guard.send(REQUEST)
        waiting = here.start()
        await here.settled(in_flight=1, waiting=1)
        await here.guard.close()
        with pytest.raises(Overloaded) as caught:
            await waiting
        assert "stopping" in caught.value.message
        await first.close()
        assert here.guard.state.in_flight == 0

    run(part, concurrency=narrow(1))


def test_who_is_cancelled_while_waiting_frees_the_place_in_the_line() -> None:
    async def part(here: Scene) -> None:
        first = await here.guard.send(REQUEST)
        tasks = [here.start() for _ in range(3)]
        await here.settled(in_flight=1, waiting=3)
        tasks[0].cancel()
        await here.settled(in_flight=1, waiting=2)
        await first.close()
        tasks[1].cancel()  # the very moment its place was granted
        assert await tasks[2] == 200
        await asyncio.wait(tasks)
        assert tasks[0].cancelled()
        assert tasks[1].cancelled()
        assert (here.guard.state.in_flight, here.guard.state.waiting) == (0, 0)

    run(part, concurrency=narrow(1))


def test_the_line_is_bounded_and_the_wait_ends() -> None:
    async def part(here: Scene) -> None:
        first = await here.guard.send(REQUEST)
        patient, hasty = here.start(), here.start(timeout_s=5)
        await here.settled(in_flight=1, waiting=2)
        with pytest.raises(Overloaded) as full:
            await here.call()
        here.clock.move(5)
        with pytest.raises(Overloaded) as late:
            await hasty
        assert not patient.done()
        here.clock.move(25)
        with pytest.raises(Overloaded):
            await patient
        for error in (full.value, late.value):
            assert error.billed == "no"
            assert error.retry_after_s
        assert len(here.server.requests) == 1
        await first.close()
        assert here.guard.state.in_flight == 0

    run(part, concurrency=narrow(1), most_waiting=2, longest_wait_s=30)


@pytest.mark.parametrize(("status", "limit"), [(429, 64), (503, 44), (529, 44)])
def test_after_a_refusal_for_load_nothing_goes_until_it_may(status: int, limit: int) -> None:
    async def part(here: Scene) -> None:
        here.status, here.retry_after = status, "7"
        assert await here.call() == status
        assert here.guard.state.limit == limit
        here.status = 200
        tasks = [here.start() for _ in range(3)]
        await here.settled(in_flight=0, waiting=3)
        here.clock.move(6.5)
        await asyncio.sleep(0.02)
        assert len(here.server.requests) == 1
        here.clock.move(0.5)
        assert await asyncio.gather(*tasks) == [200] * 3

    run(part)


def test_a_storm_of_refusals_is_one_loss_and_does_not_open_the_breaker() -> None:
    async def part(here: Scene) -> None:
        here.status = 529
        assert await asyncio.gather(*(here.call() for _ in range(30))) == [529] * 30
        assert here.guard.state.limit == 44
        assert here.guard.state.breaker is Phase.CLOSED

    run(part)


def test_an_upstream_that_keeps_failing_is_left_alone_and_tried_with_one() -> None:
    async def part(here: Scene) -> None:
        here.status = 500
        for _ in range(TRIP_AFTER):
            assert await here.call() == 500
        assert here.guard.state.breaker is Phase.OPEN
        with pytest.raises(Overloaded) as caught:
            await here.call()
        assert (caught.value.billed, caught.value.retry_after_s) == ("no", FIRST_PAUSE_S)
        assert len(here.server.requests) == TRIP_AFTER

        here.clock.move(FIRST_PAUSE_S)
        here.status = 200
        here.go.clear()
        probe = here.start()
        await here.arrived(TRIP_AFTER + 1)
        assert here.guard.state.breaker is Phase.HALF_OPEN
        with pytest.raises(Overloaded):
            await here.call()
        here.go.set()
        assert await probe == 200
        assert here.guard.state.breaker is Phase.CLOSED
        assert here.guard.state.since == here.clock.now()
        assert here.guard.state.in_flight == 0

    run(part)


def test_a_probe_whose_client_hangs_up_lets_the_next_try() -> None:
    async def part(here: Scene) -> None:
        here.status = 500
        for _ in range(TRIP_AFTER):
            await here.call()
        here.clock.move(FIRST_PAUSE_S)
        here.status = 200
        here.go.clear()
        probe = here.start()
        await here.arrived(TRIP_AFTER + 1)
        probe.cancel()
        await asyncio.wait([probe])
        here.go.set()
        assert await here.call() == 200
        assert here.guard.state.breaker is Phase.CLOSED

    run(part)


def test_those_who_wait_are_told_when_the_breaker_opens() -> None:
    async def part(here: Scene) -> None:
        here.status = 0
        here.go.clear()
        sent = [here.start() for _ in range(TRIP_AFTER)]
        await here.arrived(TRIP_AFTER)
        waiting = [here.start() for _ in range(3)]
        await here.settled(in_flight=TRIP_AFTER, waiting=3)
        here.go.set()
        answers = await asyncio.gather(*sent, *waiting, return_exceptions=True)
        kinds = [type(answer) for answer in answers]
        assert kinds[:TRIP_AFTER] == [ConnectionLost] * TRIP_AFTER
        assert set(kinds[TRIP_AFTER:]) <= {Overloaded, ConnectionLost}
        assert Overloaded in kinds
        assert (here.guard.state.in_flight, here.guard.state.waiting) == (0, 0)
        assert here.guard.state.breaker is Phase.OPEN

    run(part, concurrency=narrow(TRIP_AFTER))


def test_an_unreachable_upstream_opens_the_breaker_and_lowers_the_limit() -> None:
    async def whole() -> None:
        async with raw_server() as server:
            pass
        clock = MovableClock()
        guard = GuardedUpstream(HttpUpstream(Endpoint(server.url, "key"), clock), clock)

        async def one() -> None:
            task = asyncio.create_task(guard.send(REQUEST))
            while not task.done():
                await asyncio.sleep(0.002)
                clock.move(0.1)
            with pytest.raises(ConnectionLost):
                await task

        for _ in range(TRIP_AFTER):
            await one()
        assert guard.state.breaker is Phase.OPEN
        assert guard.state.limit < 64
        assert guard.state.in_flight == 0
        await guard.close()

    asyncio.run(whole())


def test_neither_a_refused_request_nor_silence_counts_against_the_upstream() -> None:
    async def part(here: Scene) -> None:
        for _ in range(TRIP_AFTER + 1):
            with pytest.raises(RequestRefused):
                await here.guard.send(UpstreamRequest("POST", "//evil/", ()))
        here.go.clear()
        for _ in range(TRIP_AFTER + 1):
            with pytest.raises(ModelTimeout):
                await here.call(timeout_s=0.02)
        assert here.guard.state.breaker is Phase.CLOSED
        assert (here.guard.state.limit, here.guard.state.in_flight) == (64, 0)
        here.go.set()

    run(part)


@pytest.mark.parametrize("status", [b"429", b"529"])
def test_a_provider_of_small_capacity_is_found_and_everybody_is_served(status: bytes) -> None:
    async def whole() -> None:
        busy = 0
        late: list[int] = []

        async def talk(peer: Peer) -> None:
            nonlocal busy
            busy += 1
            if served > 200:
                late.append(busy)
            refused = busy > 8
            await asyncio.sleep(0.001)
            busy -= 1
            await peer.send(OK.replace(b"200", status) if refused else OK)

        async with raw_server(talk) as server:
            clock = MovableClock()
            direct = HttpUpstream(Endpoint(server.url, "key"), clock)
            guard = GuardedUpstream(direct, clock, longest_wait_s=1e6)
            served = 0

            async def client() -> None:
                nonlocal served
                status = 0
                while status != 200:
                    reply: UpstreamReply = await guard.send(REQUEST)
                    status = reply.status
                    await reply.close()
                    clock.move(0.05)
                served += 1

            await asyncio.gather(*(client() for _ in range(300)))
            state = guard.state
            assert served == 300
            assert (state.in_flight, state.waiting) == (0, 0)
            assert max(late) < 32
            await guard.close()

    asyncio.run(whole())
