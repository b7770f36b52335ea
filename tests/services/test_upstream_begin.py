"""Sending that is begun at once or not at all: who goes while in line has sent nothing."""

import asyncio

import pytest

from helios.domain.gateway.breaker import TRIP_AFTER, Phase
from helios.errors import Overloaded
from helios.ports.upstream import UpstreamReply
from tests.services.test_upstreams import REQUEST, Scene, narrow, run

Begun = asyncio.Future[UpstreamReply]


def begin(here: Scene) -> "asyncio.Task[Begun]":
    return asyncio.create_task(here.guard.begin(REQUEST))


async def taken(here: Scene) -> UpstreamReply:
    """The only place, and one request that has reached the server."""
    reply = await here.guard.send(REQUEST)
    assert len(here.server.requests) == 1
    return reply


def idle(here: Scene) -> bool:
    return (here.guard.state.in_flight, here.guard.state.waiting) == (0, 0)


def test_with_a_place_free_it_begins_at_once_as_one_task() -> None:
    async def part(here: Scene) -> None:
        before = asyncio.all_tasks()
        with pytest.raises(StopIteration) as returned:
            here.guard.begin(REQUEST).send(None)  # runs up to where it would have to wait
        sending: Begun = returned.value.value
        assert asyncio.all_tasks() - before == {sending}
        reply = await sending
        assert reply.status == 200
        assert here.guard.state.in_flight == 1
        await reply.close()
        assert idle(here)

    run(part)


def test_who_goes_while_in_line_sends_nothing() -> None:
    async def part(here: Scene) -> None:
        first = await taken(here)
        gone = begin(here)
        await here.settled(in_flight=1, waiting=1)
        gone.cancel()
        await here.settled(in_flight=1, waiting=0)
        await first.close()
        assert await here.call() == 200
        assert gone.cancelled()
        assert len(here.server.requests) == 2
        assert idle(here)

    run(part, concurrency=narrow(1))


def test_who_goes_in_the_very_step_in_which_the_place_comes_sends_nothing() -> None:
    async def part(here: Scene) -> None:
        first = await taken(here)
        gone, patient = begin(here), here.start()
        await here.settled(in_flight=1, waiting=2)
        await first.close()
        assert here.guard.state.waiting == 1
        gone.cancel()
        assert await patient == 200
        assert gone.cancelled()
        assert len(here.server.requests) == 2
        assert idle(here)

    run(part, concurrency=narrow(1))


def test_who_goes_in_the_very_step_in_which_the_guard_closes_leaves_no_error_behind() -> None:
    async def part(here: Scene) -> None:
        complaints: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        first = await taken(here)
        gone, told = begin(here), begin(here)
        await here.settled(in_flight=1, waiting=2)
        await here.guard.close()
        gone.cancel()
        with pytest.raises(Overloaded):
            await told
        await asyncio.wait([gone])
        assert gone.cancelled()
        del gone, told
        await first.close()
        assert idle(here)
        assert not complaints

    run(part, concurrency=narrow(1))


def test_what_is_begun_goes_on_without_its_caller() -> None:
    async def part(here: Scene) -> None:
        here.go.clear()

        async def caller() -> None:
            begun.append(await here.guard.begin(REQUEST))
            await asyncio.shield(begun[0])

        begun: list[Begun] = []
        gone = asyncio.create_task(caller())
        await here.arrived(1)
        gone.cancel()
        await asyncio.wait([gone])
        here.go.set()
        reply = await begun[0]
        assert reply.status == 200
        await reply.close()
        assert idle(here)

    run(part)


def test_behind_an_open_breaker_nothing_is_sent() -> None:
    async def part(here: Scene) -> None:
        here.status = 500
        for _ in range(TRIP_AFTER):
            await here.call()
        assert here.guard.state.breaker is Phase.OPEN
        refused = await here.guard.begin(REQUEST)
        with pytest.raises(Overloaded) as caught:
            await refused
        assert caught.value.billed == "no"
        assert len(here.server.requests) == TRIP_AFTER
        assert idle(here)

    run(part)
