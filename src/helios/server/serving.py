"""Serving: a socket, uvicorn on it, and an end that leaves nothing half done."""

import asyncio
import errno
import gc
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import structlog
import uvicorn
from starlette.types import ASGIApp

from helios.bootstrap.gateway import GatewayDesk, open_gateway
from helios.bootstrap.house import Desk, House
from helios.errors import ConflictError, ModelError, StoreError, UsageError
from helios.ports.clock import Clock
from helios.ports.ledger import Ledger
from helios.server.app import create_app
from helios.server.capacity import allow_many_files
from helios.server.gateway.door import Gateway
from helios.server.hosts import LOOPBACK, KnownHosts
from helios.server.protocol import PatientProtocol

SWEEP_S = 10.0
BATCHES_S = 30.0
KEEP_ALIVE_S = 30
"""Longer than clients keep an idle connection: they must not ask just as it is closed."""
GOODBYE_S = 5
"""How long open requests may still take when the server ends."""
LAST_WORDS_S = 0.5
"""How long those that were ended then may take to tell their clients."""
BILLS_S = 1.5
"""How long it is waited for what was used meanwhile. All together stays below 10 s, after which
Docker kills."""
BOOKS_S = 8.0
"""A database that does not answer is given up so long after the signal."""
END_S = 9.7
"""The process is gone so long after the signal, whatever does not come back."""
LOOK_EVERY_S = 0.02

log = structlog.get_logger("helios.api")


async def serve(
    house: House,
    *,
    host: str,
    port: int,
    no_auth: bool,
    ready: Callable[[str, bool], None],
    ending: Callable[[], None],
) -> None:
    """Serve until SIGTERM or Ctrl-C, then end in order; a second one takes the time out of it.

    Args:
        house: what is served.
        host: the address to listen on.
        port: 0 takes a free one.
        no_auth: that it is known that whoever reaches an address outside may do everything.
        ready: is told the URL once connections are taken, and whether answers are simulated.
        ending: hears of the first signal.

    Raises:
        UsageError: the address is none of this machine, or is open to others without `no_auth`.
        ConflictError: the port is taken.
        StoreError: at the end the database did not answer, and books are left open.
    """
    local = is_loopback(host)
    if not (local or no_auth or _unresolved(host)):
        raise UsageError(
            f"{host} can be reached by others, and the server asks nobody who they are",
            next_step="Serve on 127.0.0.1, or say --insecure-no-auth if the network is yours.",
        )
    allow_many_files()
    desk = await house.desk()
    async with open_gateway(house, desk) as gateway:
        with listen(host, port) as listener:
            taken = listener.getsockname()[1]
            _check_upstream(house, desk, taken)
            door = Gateway(create_app(desk, gateway), gateway)
            app = KnownHosts(door, hosts=LOOPBACK | {_in_url(host)}) if local else door
            server = _Server(config(app), door, ending)
            with ended_by_signals(server):
                ready(f"http://{_in_url(host)}:{taken}", desk.simulated)
                beside = [asyncio.create_task(sweep_regularly(house.stores.ledger, house.clock))]
                if gateway:
                    beside.append(asyncio.create_task(settle_batches(gateway)))
                # What is there now stays: looking through it again and again stops every request.
                gc.collect()
                gc.freeze()
                try:
                    await server.serve(sockets=[listener])
                finally:
                    for task in beside:
                        task.cancel()
                    await asyncio.wait(beside, timeout=LAST_WORDS_S)
                    await door.close(LAST_WORDS_S, books_s=server.books_s)


def config(app: ASGIApp) -> uvicorn.Config:
    """How an app of Helios is served."""
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        log_config=None,
        log_level="critical",  # what fails is in Helios's own log, with its cause
        access_log=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GOODBYE_S,
    )


def _check_upstream(house: House, desk: Desk, port: int) -> None:
    """ANTHROPIC_BASE_URL is meant for clients of the gateway; here it would lead in a circle."""
    parts = urlsplit(house.settings.base_url)
    if not desk.simulated and parts.port == port and is_loopback(parts.hostname or ""):
        raise UsageError(
            f"the gateway would ask itself: its upstream is {house.settings.base_url}",
            next_step="Unset ANTHROPIC_BASE_URL where you start `helios serve`.",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _unresolved(host: str) -> bool:
    """Whether a name is nobody's: that it cannot be listened on is then what is to be said."""
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return True
    return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections already.

    Raises:
        UsageError: the address is none of this machine.
        ConflictError: the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError, TypeError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise ConflictError(
                f"port {port} of {host} is taken",
                next_step="End what listens there, or name another: --port 0 takes a free one.",
            ) from error
        raise UsageError(
            f"cannot listen on {host} port {port}: {error}",
            next_step="Give an address of this machine and a port from 0 to 65535.",
        ) from error
    # Inherited by every connection. asyncio sets it on sockets it made itself only, and without it
    # an answer's second packet waits 40 ms for the caller's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class _Server(uvicorn.Server):
    """uvicorn that ends in order; on a signal, without passing it on: the house is closed behind
    it.
    """

    def __init__(self, config: uvicorn.Config, door: Gateway, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._door = door
        self._ending = ending
        self._ended_at = 0.0

    def end(self) -> None:
        """End; told again, without patience."""
        if not self.should_exit:
            self._ended_at = asyncio.get_running_loop().time()
            self._ending()
        self.force_exit = self.should_exit
        self.should_exit = True

    @property
    def books_s(self) -> float:
        """How long the books may still take."""
        if self.force_exit:
            return 0.0
        return self._ended_at + BOOKS_S - asyncio.get_running_loop().time()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # they are `ended_by_signals`'s, which hears them longer

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        self._door.stop()
        await self._until(self._is_quiet, GOODBYE_S)
        self._door.cut()
        await self._within(self._is_quiet, LAST_WORDS_S)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await self._until(lambda: not self._door.owes, BILLS_S)

    def _is_quiet(self) -> bool:
        return not (self.server_state.connections or self.server_state.tasks)

    async def _until(self, ended: Callable[[], bool], seconds: float) -> None:
        """Wait for something, unless somebody is in a hurry."""
        await self._within(lambda: ended() or self.force_exit, seconds)

    async def _within(self, ended: Callable[[], bool], seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not ended():  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(LOOK_EVERY_S)


@contextmanager
def ended_by_signals(server: _Server) -> Iterator[None]:
    """SIGTERM and Ctrl-C end a server."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, server.end)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def sweep_regularly(ledger: Ledger, clock: Clock) -> None:
    """Close what callers left behind soon after its lease, for as long as the server lives."""
    while True:
        try:
            await ledger.sweep()
        except StoreError as error:
            log.warning("the store is away", error=error.message)
        await clock.sleep(SWEEP_S)


async def settle_batches(gateway: GatewayDesk) -> None:
    """Book what batches took soon after they have ended."""
    while True:
        await gateway.clock.sleep(BATCHES_S)
        try:
            await gateway.batches.settle_ended()
        except (StoreError, ModelError) as error:
            log.warning("batches not settled", error=error.message)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
