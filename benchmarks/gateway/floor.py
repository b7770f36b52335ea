"""The floor: the least that uvicorn and httpx2 can do between a client and an upstream.

    python benchmarks/gateway/floor.py http://127.0.0.1:UPSTREAM

No budget, no key, no meter: what a gateway is measured against.
"""

import asyncio
import socket
import sys
from typing import Any

import httpx2
import uvicorn
import uvloop

HOP_BY_HOP = frozenset({b"host", b"connection", b"content-length", b"transfer-encoding"})


def passed_on(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [header for header in headers if header[0].lower() not in HOP_BY_HOP]


def pass_through(client: httpx2.AsyncClient, upstream: str) -> Any:
    """The application."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        parts = []
        more = True
        while more:
            message = await receive()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        url, headers = upstream + scope["path"], passed_on(scope["headers"])
        body = b"".join(parts)
        async with client.stream(scope["method"], url, headers=headers, content=body) as reply:
            shown = passed_on([(name.lower(), value) for name, value in reply.headers.raw])
            await send(
                {"type": "http.response.start", "status": reply.status_code, "headers": shown}
            )
            async for chunk in reply.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


async def serve(upstream: str) -> None:
    # As Helios sets its own server up.
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx2.AsyncClient(limits=limits, timeout=600, trust_env=False) as client:
        config = uvicorn.Config(
            pass_through(client, upstream),
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
        )
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1]))
