"""What goes over the wire to an upstream and what comes back, byte by byte."""

import asyncio
import logging
from typing import Any

import pytest
from tests.providers.asking import BODY, KEY, ask, upstream, whole
from tests.providers.raw_server import OK, Peer, RawServer, raw_server

from helios.errors import ConnectionLost, RequestRefused
from helios.ports.upstream import UpstreamReply
from helios.providers.endpoint import Endpoint


def test_the_client_s_bytes_go_out_as_they_are_with_our_credential_in_place_of_its() -> None:
    headers = (
        (b"accept", b"application/json"),
        (b"x-api-key", b"the-client's"),
        (b"authorization", b"Bearer the-client's"),
        (b"anthropic-beta", b"one"),
        (b"x-not-known", b"\xed\x95\x9c"),
        (b"anthropic-beta", b"two,three"),
        (b"accept-encoding", b"gzip, br"),
        (b"host", b"localhost:8002"),
        (b"content-length", b"1"),
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"close, X-Private"),
        (b"x-private", b"1"),
        (b"expect", b"100-continue"),
    )

    async def run() -> bytes:
        async with raw_server() as server:
            there = upstream(server)
            reply = await there.send(ask("/v1/messages?beta=true&x=%ED%95%9C", *headers))
            assert await whole(reply) == b"ok"
            await there.close()
            return server.requests[0]

    head, _, body = asyncio.run(run()).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert body == BODY
    assert lines[0] == b"POST /v1/messages?beta=true&x=%ED%95%9C HTTP/1.1"
    assert lines[1].startswith(b"host: 127.0.0.1:")
    assert lines[2:] == [
        b"accept: application/json",
        b"anthropic-beta: one",
        b"x-not-known: \xed\x95\x9c",
        b"anthropic-beta: two,three",
        b"accept-encoding: identity",
        b"x-api-key: " + KEY.encode(),
        b"content-length: %d" % len(BODY),
    ]


@pytest.mark.parametrize(
    ("style", "line"),
    [("x-api-key", f"x-api-key: {KEY}"), ("bearer", f"authorization: Bearer {KEY}")],
)
def test_the_credential_goes_in_the_header_that_is_configured(style: Any, line: str) -> None:
    async def run() -> bytes:
        async with raw_server() as server:
            there = upstream(server, style=style, base_url=server.url + "/proxy/")
            await whole(await there.send(ask("/v1/models", method="GET", body=b"")))
            await there.close()
            return server.requests[0]

    lines = asyncio.run(run()).decode().rstrip().split("\r\n")
    assert lines[0] == "GET /proxy/v1/models HTTP/1.1"
    assert lines[-1] == line
    assert not any(header.startswith("content-length") for header in lines)


def test_the_answer_s_headers_come_back_but_for_those_of_the_connection() -> None:
    answer = (
        b"HTTP/1.1 429 Slow Down\r\nRequest-Id: req_1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
        b"Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nX-Kept: 1\r\n"
        b"Transfer-Encoding: chunked\r\nTrailer: x-sum\r\nRetry-After: 7\r\n\r\n"
        b"2\r\nno\r\n0\r\nx-sum: 1\r\n\r\n"
    )

    async def run() -> UpstreamReply:
        async with raw_server(answer) as server:
            there = upstream(server)
            reply = await there.send(ask())
            assert await whole(reply) == b"no"
            assert await whole(await there.send(ask())) == b"no"
            assert server.connections == 1
            await there.close()
            return reply

    reply = asyncio.run(run())
    assert reply.status == 429
    assert reply.headers == (
        (b"request-id", b"req_1"),
        (b"set-cookie", b"a"),
        (b"set-cookie", b"b"),
        (b"x-kept", b"1"),
        (b"retry-after", b"7"),
    )


def test_a_redirect_is_handed_back_and_nobody_goes_there() -> None:
    async def run() -> None:
        async with raw_server() as elsewhere:
            answer = f"HTTP/1.1 307 x\r\nlocation: {elsewhere.url}/\r\ncontent-length: 0\r\n\r\n"
            async with raw_server(answer.encode()) as server:
                there = upstream(server)
                reply = await there.send(ask())
                assert reply.status == 307
                assert (b"location", f"{elsewhere.url}/".encode()) in reply.headers
                assert await whole(reply) == b""
                assert elsewhere.connections == 0
                await there.close()

    asyncio.run(run())


def test_each_event_of_a_stream_arrives_before_the_next_is_written() -> None:
    async def run() -> None:
        seen = asyncio.Event()

        async def talk(peer: Peer) -> None:
            await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            for text in ("event: ping\n\n", "data: 안녕\n\n"):
                data = text.encode()
                await peer.send(b"%x\r\n%b\r\n" % (len(data), data))
                await seen.wait()
                seen.clear()
            await peer.send(b"0\r\n\r\n")

        async with raw_server(talk) as server:
            there = upstream(server)
            reply = await there.send(ask())
            pieces = []
            async for piece in reply.chunks():
                pieces.append(piece)
                seen.set()
            await reply.close()
            assert pieces == [b"event: ping\n\n", "data: 안녕\n\n".encode()]
            await there.close()

    asyncio.run(run())


def test_an_idle_connection_is_used_again() -> None:
    async def run() -> None:
        async with raw_server() as server:
            there = upstream(server)
            for _ in range(5):
                await whole(await there.send(ask()))
            assert server.connections == 1
            await there.close()

    asyncio.run(run())


def test_a_connection_that_was_idle_for_long_is_not() -> None:
    async def run() -> None:
        async with raw_server() as server:
            there = upstream(server, keepalive_s=0.05)
            await whole(await there.send(ask()))
            await asyncio.sleep(0.1)
            await whole(await there.send(ask()))
            assert server.connections == 2
            await there.close()

    asyncio.run(run())


def test_a_connection_that_the_server_closed_is_not_and_nobody_notices() -> None:
    async def run() -> None:
        hang_up = asyncio.Event()

        async def talk(peer: Peer) -> None:
            await peer.send(OK)
            await hang_up.wait()
            peer.writer.close()

        async with raw_server(talk) as server:
            there = upstream(server)
            await whole(await there.send(ask()))
            hang_up.set()
            await asyncio.wait_for(server.gone.wait(), 10)
            await asyncio.sleep(0.05)
            await whole(await there.send(ask()))
            assert server.connections == 2
            await there.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "header", [(b"x-a", b"1\r\nx-evil: 1"), (b"x a", b"1"), ("한".encode(), b"1"), (b"", b"1")]
)
def test_a_header_that_would_inject_is_refused_before_anything_is_sent(header: Any) -> None:
    async def run() -> None:
        async with raw_server() as server:
            there = upstream(server)
            for _ in range(2):
                with pytest.raises(RequestRefused) as caught:
                    await there.send(ask("/v1/messages", header))
                assert caught.value.billed == "no"
                assert "evil" not in caught.value.message
            with pytest.raises(RequestRefused):
                await there.send(ask(method="CONNECT"))
            assert server.requests == []
            assert await whole(await there.send(ask())) == b"ok"
            await there.close()

    asyncio.run(run())


def test_an_answer_before_the_body_was_taken_comes_back_and_the_connection_is_ended() -> None:
    async def run() -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 x\r\ncontent-length: 0\r\n\r\n")
            await reader.read(10_000)
            await gone.wait()
            writer.close()

        gone = asyncio.Event()
        listener = await asyncio.start_server(refuse, "127.0.0.1", 0)
        server = RawServer(listener.sockets[0].getsockname()[1])
        there = upstream(server)
        for _ in range(2):
            reply = await there.send(ask(body=b"a" * 30_000_000))
            assert (reply.status, await whole(reply)) == (413, b"")
        gone.set()
        await there.close()
        listener.close()

    asyncio.run(run())


def test_twenty_megabytes_go_through() -> None:
    async def run() -> None:
        async with raw_server() as server:
            there = upstream(server)
            body = b"a" * 20_000_000
            assert await whole(await there.send(ask(body=body))) == b"ok"
            assert server.requests[0].endswith(body)
            await there.close()

    asyncio.run(run())


def test_the_key_is_in_no_log_no_error_and_no_repr(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> list[BaseException]:
        async with raw_server(b"SSH-2.0-x\r\n\r\n") as server:
            there = upstream(server)
            with pytest.raises(ConnectionLost) as caught:
                await there.send(ask())
            await there.close()
            assert KEY in server.requests[0].decode()
            return [caught.value, caught.value.__cause__ or caught.value]

    with caplog.at_level(logging.DEBUG):
        errors = asyncio.run(run())
    assert "send_request_headers" in caplog.text
    assert KEY not in caplog.text + repr(errors) + repr(Endpoint("https://x", key=KEY))
