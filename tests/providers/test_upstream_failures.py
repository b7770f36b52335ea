"""Upstreams that are not there, break, fall silent or lie: what is certain about the charge."""

import asyncio
from typing import Any

import pytest
from tests.providers.asking import KEY, ask, free_port, moving, upstream, whole
from tests.providers.raw_server import OK, Peer, raw_server, until

from helios.errors import ConnectionLost, ModelError, ModelTimeout, Overloaded
from helios.ports.upstream import UpstreamReply
from helios.providers.endpoint import Endpoint
from helios.providers.upstream import HttpUpstream
from helios.testing.clock import MovableClock


async def read(reply: UpstreamReply, pieces: list[bytes]) -> None:
    async for piece in reply.chunks():
        pieces.append(piece)


async def _silent_until_gone(peer: Peer) -> None:
    await peer.request()


def test_who_hangs_up_ends_the_connection_and_frees_its_place() -> None:
    async def talk(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nfirst")
        await peer.request()

    async def run() -> None:
        async with raw_server(talk) as server:
            there = upstream(server, most=1)
            for number in range(1, 4):
                reply = await there.send(ask())
                async for piece in reply.chunks():
                    assert piece == b"first"
                    break
                await reply.close()
                await reply.close()
                await asyncio.wait_for(server.gone.wait(), 10)
                server.gone.clear()
                assert server.connections == number
            await there.close()

    asyncio.run(run())


def test_who_is_cancelled_before_the_head_frees_the_place_and_ends_the_connection() -> None:
    async def run() -> None:
        async with raw_server(_silent_until_gone) as server:
            there = upstream(server, most=1)
            for number in range(1, 4):
                sending = asyncio.create_task(there.send(ask()))
                await until(lambda wanted=number: len(server.requests) == wanted)
                sending.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await sending
                await asyncio.wait_for(server.gone.wait(), 10)
                server.gone.clear()
            await there.close()

    asyncio.run(run())


def test_an_answer_that_nobody_asked_for_is_given_to_nobody() -> None:
    async def run() -> None:
        async with raw_server(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil") as server:
            clock = MovableClock()
            there = HttpUpstream(Endpoint(server.url, key=KEY), clock)
            for _ in range(3):
                work = asyncio.create_task(there.send(ask()))
                assert await whole(await moving(clock, work)) == b"ok"
            assert (server.connections, len(server.requests)) == (3, 3)
            await there.close()

    asyncio.run(run())


def test_a_refused_connection_is_tried_three_times_and_costs_nothing() -> None:
    async def run() -> ModelError:
        clock = MovableClock()
        there = HttpUpstream(Endpoint(f"http://127.0.0.1:{free_port()}", key=KEY), clock)
        with pytest.raises(ConnectionLost) as caught:
            await moving(clock, asyncio.create_task(there.send(ask())))
        assert clock.monotonic() >= 0.5
        return caught.value

    error = asyncio.run(run())
    assert error.billed == "no"
    assert "127.0.0.1" in error.message
    assert KEY not in error.message


def test_a_server_that_comes_up_between_the_tries_is_reached() -> None:
    async def run() -> None:
        clock, port = MovableClock(), free_port()
        there = HttpUpstream(Endpoint(f"http://127.0.0.1:{port}", key=KEY), clock)
        work = asyncio.create_task(there.send(ask()))
        await asyncio.sleep(0.1)
        assert not work.done()
        async with raw_server(port=port) as server:
            assert await whole(await moving(clock, work)) == b"ok"
            assert len(server.requests) == 1
        await there.close()

    asyncio.run(run())


async def _reset(peer: Peer) -> None:
    peer.reset()


async def _close(peer: Peer) -> None:
    peer.writer.close()
    await asyncio.sleep(60)


async def _silent(peer: Peer) -> None:
    await asyncio.sleep(60)


async def _garbage(peer: Peer) -> None:
    await peer.send(b"SSH-2.0-x\r\n\r\n")


async def _endless_head(peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await peer.send(b"x-more: %b\r\n" % (b"a" * 4000))


async def _switch(peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")


@pytest.mark.parametrize(
    ("talk", "kind"),
    [
        (_reset, ConnectionLost),
        (_switch, ConnectionLost),
        (_close, ConnectionLost),
        (_silent, ModelTimeout),
        (_garbage, ConnectionLost),
        (_endless_head, ConnectionLost),
    ],
)
def test_without_a_head_nobody_knows_what_was_done_and_it_is_sent_once(
    talk: Any, kind: Any
) -> None:
    async def run() -> None:
        async with raw_server(talk) as server:
            there = upstream(server, most=1)
            for count in (1, 2):
                with pytest.raises(kind) as caught:
                    await there.send(ask(timeout_s=0.2))
                assert caught.value.billed == "unknown"
                assert len(server.requests) == count
            await there.close()

    asyncio.run(run())


def _then(*parts: bytes, silent: bool = False) -> Any:
    async def talk(peer: Peer) -> None:
        for part in parts:
            await peer.send(part)
            await asyncio.sleep(0.02)
        if silent:
            await asyncio.sleep(60)
        peer.writer.close()

    return talk


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("talk", "kind"),
    [
        (_then(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"), ConnectionLost),
        (_then(CHUNKED + b"4\r\nhalf\r\n"), ConnectionLost),
        (_then(CHUNKED + b"4\r\nhalf\r\n", b"zz\r\nno\r\n", silent=True), ConnectionLost),
        (_then(CHUNKED + b"4\r\nhalf\r\n", silent=True), ModelTimeout),
    ],
)
def test_a_body_that_breaks_says_so_after_what_came(talk: Any, kind: Any) -> None:
    async def run() -> None:
        async with raw_server(talk) as server:
            there = upstream(server)
            reply = await there.send(ask(timeout_s=0.3))
            pieces: list[bytes] = []
            with pytest.raises(kind) as caught:
                await read(reply, pieces)
            await reply.close()
            assert pieces == [b"half"]
            assert caught.value.billed == "unknown"
            await there.close()

    asyncio.run(run())


def test_a_connection_closed_while_idle_at_the_very_moment_is_not_proved_unprocessed() -> None:
    async def run() -> None:
        answered = 0

        async def talk(peer: Peer) -> None:
            nonlocal answered
            answered += 1
            if answered == 2:
                peer.reset()
                return
            await peer.send(OK)

        async with raw_server(talk) as server:
            there = upstream(server)
            await whole(await there.send(ask()))
            with pytest.raises(ConnectionLost) as caught:
                await there.send(ask())
            assert caught.value.billed == "unknown"
            assert (server.connections, len(server.requests)) == (1, 2)
            await there.close()

    asyncio.run(run())


def test_when_all_connections_are_in_use_the_wait_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helios.providers.connections.POOL_WAIT_S", 0.05)

    async def run() -> None:
        async with raw_server() as server:
            there = upstream(server, most=1)
            first = await there.send(ask())
            with pytest.raises(Overloaded) as caught:
                await there.send(ask())
            assert caught.value.billed == "no"
            waiting = asyncio.create_task(there.send(ask()))
            await asyncio.sleep(0)
            await whole(first)
            assert await whole(await waiting) == b"ok"
            assert len(server.requests) == 2
            await there.close()

    asyncio.run(run())
