"""Connections to one upstream, kept for the next request: the last one back goes out first.

httpcore2's own pool looks at every connection twice a request and asks the kernel about each idle
one, which at 500 of them costs four times the request itself. One origin needs one stack.

HTTP/1.1 only, also over TLS. Measured, HTTP/2 in pure Python costs three times as much a request,
and a server that merely ends its connection (GOAWAY) leaves every request on it in doubt, which
the budget then pays for. What it would save, handshakes, is saved by keeping connections.
"""

import asyncio
import ssl
from collections import deque
from urllib.request import getproxies, proxy_bypass

import anyio
import httpcore2
import httpx2

from helios.errors import Overloaded, UsageError
from helios.providers.endpoint import Endpoint
from helios.providers.streams import Backend

KEEPALIVE_S = 4.0
"""Less than the 5 s after which usual servers (uvicorn, Node) close an idle connection, so that no
request meets a server that is just hanging up."""
MOST_CONNECTIONS = 2_048
POOL_WAIT_S = 10.0
_SWEEP = 4


class Connections:
    """A bounded set of connections; whoever took one gives it back.

    Args:
        endpoint: where they lead.
        most: how many at once.
        keepalive_s: how long an idle one is kept, in seconds.
        tls: what certificates are checked by; None is the system's trust.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        most: int = MOST_CONNECTIONS,
        keepalive_s: float = KEEPALIVE_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._name = endpoint.name
        self._origin = httpcore2.Origin(
            b"https" if endpoint.tls else b"http", endpoint.host.encode("ascii"), endpoint.port
        )
        context = (tls or httpx2.create_ssl_context()) if endpoint.tls else None
        # Only its way of making connections is used, directly or through a proxy.
        self._factory = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            proxy=_proxy(endpoint),
            keepalive_expiry=keepalive_s,
            network_backend=Backend(),
        )
        self._idle: deque[httpcore2.AsyncConnectionInterface] = deque()
        self._places = asyncio.Semaphore(most)
        self._most = most
        self._closed = False

    async def take(self) -> httpcore2.AsyncConnectionInterface:
        """An idle connection that is still good, else a new one that connects when used.

        Raises:
            Overloaded: all are in use, and none came back in time.
        """
        if self._places.locked():
            await self._wait()
        else:
            await self._places.acquire()
        try:
            while self._idle:
                connection = self._idle.pop()
                if not connection.has_expired():
                    return connection
                await _end(connection)
        except BaseException:
            self._places.release()
            raise
        return self._factory.create_connection(self._origin)

    async def give_back(self, connection: httpcore2.AsyncConnectionInterface) -> None:
        """Keep a connection whose answer was read to its end; end any other."""
        try:
            if connection.is_idle() and not (connection.is_closed() or self._closed):
                self._idle.append(connection)
                await self._sweep()
            else:
                await _end(connection)
        finally:
            self._places.release()

    async def close(self) -> None:
        """End the idle ones now, and those in use when they come back."""
        self._closed = True
        while self._idle:
            await _end(self._idle.pop())

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POOL_WAIT_S):
                await self._places.acquire()
        except TimeoutError:
            raise Overloaded(
                f"{self._name}: all {self._most} connections were in use for {POOL_WAIT_S:g} s",
                billed="no",
                retry_after_s=POOL_WAIT_S,
                next_step="Send fewer requests at once, or allow more connections.",
            ) from None

    async def _sweep(self) -> None:
        # The oldest are at the left; a few a time, so that no request pays for a long silence.
        for _ in range(_SWEEP):
            if not self._idle or not self._idle[0].has_expired():
                return
            await _end(self._idle.popleft())


async def _end(connection: httpcore2.AsyncConnectionInterface) -> None:
    if not connection.is_closed():
        with anyio.CancelScope(shield=True):
            await connection.aclose()


def _proxy(endpoint: Endpoint) -> httpcore2.Proxy | None:
    """The proxy that the surroundings set for this endpoint, as other programs understand it."""
    if endpoint.local or proxy_bypass(f"{endpoint.host}:{endpoint.port}"):
        return None
    proxies = getproxies()
    address = proxies.get("https" if endpoint.tls else "http") or proxies.get("all")
    if not address:
        return None
    try:
        proxy = httpx2.Proxy(address if "://" in address else f"http://{address}")
    except (ValueError, httpx2.InvalidURL):
        raise _unusable(endpoint.name) from None
    if proxy.url.scheme not in {"http", "https"}:
        raise _unusable(endpoint.name)
    url = httpcore2.URL(
        scheme=proxy.url.raw_scheme, host=proxy.url.raw_host, port=proxy.url.port, target=b"/"
    )
    return httpcore2.Proxy(
        url, auth=proxy.raw_auth, headers=proxy.headers.raw, ssl_context=proxy.ssl_context
    )


def _unusable(name: str) -> UsageError:
    # Without the address, which may hold a password.
    return UsageError(
        f"{name}: the proxy of this machine's settings has no HTTP address",
        next_step="Correct the proxy variables, or name the upstream's host in NO_PROXY.",
    )
