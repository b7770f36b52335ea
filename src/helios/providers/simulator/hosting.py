"""A server inside the running event loop that leaves the process's signals and logs alone."""

import asyncio
import contextlib
import hashlib
import os
import socket
from collections.abc import Iterator

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from helios.errors import UsageError
from helios.providers.simulator.server import Setup, Simulator

HOST = "127.0.0.1"
# Longer than any client keeps a connection, so that none is closed just as it is used again.
_KEEP_ALIVE_S = 600


class _Protocol(H11Protocol):
    """Writes no line an answer into a log that somebody else configured."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.access_log = False


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
        self._simulator = Simulator(setup, self._drop, name)
        self._server = _Server(
            uvicorn.Config(
                self._simulator.app,
                http=_Protocol,
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
        self._simulator.stop()
        for connection in list(self._server.server_state.connections):
            # Not close(), which waits for a client that may have stopped reading.
            connection.transport.abort()
        self._server.ending.set()
        await self._serving
        self._serving = None
        self._setup.meter.close()

    def _drop(self, client: tuple[str, int]) -> None:
        for connection in list(self._server.server_state.connections):
            if isinstance(connection, H11Protocol) and connection.client == client:
                connection.transport.close()


async def host(setup: Setup, port: int = 0) -> Hosted:
    """Answer on 127.0.0.1.

    Args:
        setup: what to answer with; its meter is closed with the server, or at once on failure.
        port: 0 takes any free one.

    Raises:
        UsageError: the port is taken.
    """
    # Named as TCP, because asyncio sets TCP_NODELAY only then: 40 ms an answer otherwise.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        setup.meter.close()
        raise UsageError(
            f"the simulator cannot listen on {HOST}:{port}: {error}",
            next_step="Choose another port, or 0 for any free one.",
        ) from error
    hosted = Hosted(setup, listener)
    await hosted.start()
    return hosted
