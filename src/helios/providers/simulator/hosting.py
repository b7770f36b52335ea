"""A server inside the running event loop that leaves the process's signals and logs alone."""

import asyncio
import contextlib
import errno
import hashlib
import importlib
import importlib.util
import os
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from helios.errors import ConflictError, UsageError
from helios.providers.simulator.answering import Setup
from helios.providers.simulator.server import Simulator

HOST = "127.0.0.1"
# httptools is an extra of uvicorn's, and twice as fast.
_FAST = importlib.util.find_spec("httptools") is not None
_BASE: Any = importlib.import_module(
    f"uvicorn.protocols.http.{'httptools_impl' if _FAST else 'h11_impl'}"
)
_BASE = _BASE.HttpToolsProtocol if _FAST else _BASE.H11Protocol
# Longer than any client keeps a connection, so that none is closed just as it is used again.
_KEEP_ALIVE_S = 600


def _protocol(lines: dict[Any, Any]) -> type[asyncio.Protocol]:
    """The server's HTTP, which keeps book of the open connections by their clients' addresses."""

    class Protocol(_BASE):  # type: ignore[misc]
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            # No line an answer in a log that somebody else configured.
            self.access_log = False
            lines[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            lines.pop(self.client, None)
            super().connection_lost(exc)

    return Protocol


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.ending = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Wait to be ended, instead of asking ten times a second."""
        await self.ending.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to whoever runs the loop."""
        yield


class Hosted:
    """A simulator that listens on 127.0.0.1; made by `host`."""

    def __init__(self, setup: Setup, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        self._setup = setup
        self._listener = listener
        place = f"{os.getpid()}/{self.port}/{setup.clock.now()!r}"
        name = hashlib.sha256(place.encode()).hexdigest()[:8]
        lines: dict[Any, Any] = {}
        self._simulator = Simulator(setup, lines, name)
        self._server = _Server(
            uvicorn.Config(
                self._simulator.app,
                http=_protocol(lines),
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                proxy_headers=False,
                forwarded_allow_ips=HOST,
                workers=1,
                server_header=False,
                date_header=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to answer."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait({self._serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self._serving
            raise UsageError("the simulator could not start", next_step="Try another port.")

    async def close(self) -> None:
        """Stop listening, break off what is under way, keep what is billed."""
        if self._serving is None:
            return
        await self._simulator.stop()
        for connection in list(self._server.server_state.connections):
            # Not close(), which waits for a client that may have stopped reading.
            connection.transport.abort()
        self._server.ending.set()
        await self._serving
        self._serving = None
        self._setup.meter.close()


async def host(setup: Setup, port: int = 0) -> Hosted:
    """Answer on 127.0.0.1.

    Args:
        setup: what to answer with; its meter is closed with the server, or at once on failure.
        port: 0 takes any free one.

    Raises:
        ConflictError: the port is taken.
        UsageError: it cannot be used.
    """
    # Named as TCP, because asyncio sets TCP_NODELAY only then: 40 ms an answer otherwise.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        setup.meter.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        raise (ConflictError if taken else UsageError)(
            f"the simulator cannot listen on {HOST}:{port}: {error}",
            next_step="Choose another port, or 0 for any free one.",
        ) from error
    hosted = Hosted(setup, listener)
    await hosted.start()
    return hosted
