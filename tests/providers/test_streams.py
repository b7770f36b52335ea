"""The streams that requests leave by."""

import asyncio

import httpcore2
import pytest
from tests.providers.raw_server import Peer, raw_server, until

from helios.providers.streams import Backend

ASK = b"GET / HTTP/1.1\r\n\r\n"


def test_head_and_body_leave_together_with_the_first_read() -> None:
    async def run() -> None:
        async with raw_server(b"yes") as server:
            stream = await Backend().connect_tcp("127.0.0.1", server.port)
            await stream.write(ASK[:5])
            await stream.write(ASK[5:])
            await asyncio.sleep(0.02)
            assert server.requests == []
            assert not stream.heard
            assert await stream.read(2) == b"ye"
            assert await stream.read(100) == b"s"
            assert stream.heard
            await stream.aclose()

    asyncio.run(run())


def test_nothing_leaves_on_a_connection_that_has_ended_or_speaks_unasked() -> None:
    async def run() -> None:
        async def talk(peer: Peer) -> None:
            await peer.send(b"one")
            await hang_up.wait()
            peer.writer.close()

        hang_up = asyncio.Event()
        async with raw_server(talk) as server:
            for unasked in (False, True):
                stream = await Backend().connect_tcp("127.0.0.1", server.port)
                await stream.write(ASK)
                assert await stream.read(1 if unasked else 3)
                if not unasked:
                    assert not stream.get_extra_info("is_readable")
                    hang_up.set()
                await until(lambda same=stream: bool(same.get_extra_info("is_readable")))
                await asyncio.sleep(0.02)
                seen = len(server.requests)
                await stream.write(ASK)
                with pytest.raises(httpcore2.ConnectError):
                    await stream.read(3)
                assert len(server.requests) == seen
                await stream.aclose()

    asyncio.run(run())


def test_who_does_not_read_holds_the_sender_back() -> None:
    async def run() -> None:
        sent = 0

        async def talk(peer: Peer) -> None:
            nonlocal sent
            while sent < 64_000_000:
                await peer.send(b"a" * 64_000)
                sent += 64_000
            peer.writer.close()

        async with raw_server(talk) as server:
            stream = await Backend().connect_tcp("127.0.0.1", server.port)
            await stream.write(ASK)
            assert await stream.read(1) == b"a"
            await asyncio.sleep(0.2)
            assert sent < 32_000_000
            size = 1
            while piece := await stream.read(65_536):
                size += len(piece)
            assert size == sent == 64_000_000
            await stream.aclose()

    asyncio.run(run())


def test_nobody_there_and_nobody_answering_are_told_apart() -> None:
    async def run() -> None:
        with pytest.raises(httpcore2.ConnectError):
            await Backend().connect_tcp("no-such-host.invalid", 80, timeout=20)
        with pytest.raises(httpcore2.ConnectError):
            await Backend().connect_tcp("a" * 70 + ".example", 80, timeout=20)

        async def talk(peer: Peer) -> None:
            await peer.request()

        async with raw_server(talk) as server:
            stream = await Backend().connect_tcp("127.0.0.1", server.port)
            await stream.write(ASK)
            with pytest.raises(httpcore2.ReadTimeout):
                await stream.read(1, timeout=0.02)
            await stream.aclose()

    asyncio.run(run())
