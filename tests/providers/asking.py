"""Upstreams before a raw server, and requests for them."""

import asyncio
import socket
from typing import Any

from tests.providers.raw_server import RawServer

from helios.ports.upstream import UpstreamReply, UpstreamRequest
from helios.providers.endpoint import Endpoint
from helios.providers.upstream import HttpUpstream
from helios.testing.clock import MovableClock

KEY = "sk-ant-비밀아님".encode("ascii", "ignore").decode() + "-0123456789"
BODY = '{"model":"claude-opus-5-5",  "messages":[{"role":"user","content":"안녕"}]}'.encode()


def upstream(server: RawServer, **more: Any) -> HttpUpstream:
    options = {name: more.pop(name) for name in ("keepalive_s", "most", "tls") if name in more}
    base = more.pop("base_url", server.url)
    return HttpUpstream(Endpoint(base, **{"key": KEY, **more}), MovableClock(), **options)


async def whole(reply: UpstreamReply) -> bytes:
    try:
        return b"".join([piece async for piece in reply.chunks()])
    finally:
        await reply.close()


def ask(
    target: str = "/v1/messages", *headers: tuple[bytes, bytes], **more: Any
) -> UpstreamRequest:
    more = {"body": BODY, "method": "POST", **more}
    return UpstreamRequest(more.pop("method"), target, headers, **more)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def moving(clock: MovableClock, work: "asyncio.Task[Any]") -> Any:
    """Let the work go on while the clock moves."""
    while not work.done():
        await asyncio.sleep(0.005)
        clock.move(1)
    return await work
