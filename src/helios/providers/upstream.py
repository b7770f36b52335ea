"""An upstream over HTTP: requests as the client wrote them, with our credential in place of its."""

import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from types import AsyncGeneratorType

import httpcore2

from helios.errors import ConnectionLost, ModelError, ModelTimeout, RequestRefused
from helios.ports.clock import Clock
from helios.ports.upstream import Headers, UpstreamReply, UpstreamRequest
from helios.providers.connections import KEEPALIVE_S, MOST_CONNECTIONS, Connections
from helios.providers.endpoint import Endpoint, checked_target
from helios.providers.streams import Stream

CONNECT_TIMEOUT_S = 10.0
RETRY_PAUSES_S = (0.1, 0.4)
"""Before the second and the third try to connect; nothing has been sent then."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HOP_BY_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
        b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
_OURS = _HOP_BY_HOP | {
    b"host", b"content-length", b"accept-encoding", b"authorization", b"x-api-key", b"expect",
}  # fmt: skip
_NOTES = b"x-helios-"
"""What Helios tells its clients is told by Helios alone."""
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})

# What httpcore2 raises for a network, a peer or a proxy; TLS failures in flight come as OSError.
_FAILURES = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    OSError,
)


class HttpUpstream:
    """One endpoint with its credential. Follows no redirect, keeps no cookie, decodes nothing.

    Args:
        endpoint: where and with what.
        clock: what the pauses between tries to connect are waited by.
        keepalive_s: how long an idle connection is kept, in seconds.
        most: how many connections at once.
        tls: what certificates are checked by; None is the system's trust.

    Raises:
        UsageError: the settings of this machine name a proxy that cannot be used.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        *,
        keepalive_s: float = KEEPALIVE_S,
        most: int = MOST_CONNECTIONS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._connections = Connections(endpoint, most=most, keepalive_s=keepalive_s, tls=tls)
        self._scheme = b"https" if endpoint.tls else b"http"
        self._host = endpoint.host.encode("ascii")
        self._port = endpoint.port
        self._base = endpoint.path.encode("ascii")
        self._first = (b"host", endpoint.authority.encode("ascii"))
        self._last = ((b"accept-encoding", b"identity"), *endpoint.credential())

    @property
    def name(self) -> str:
        """What people call it."""
        return self._endpoint.name

    @property
    def simulated(self) -> bool:
        """Whether the answers come from the simulator instead of a model."""
        return self._endpoint.simulated

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send a request once, and wait for the head of its answer, whatever its status.

        Raises:
            ModelError: there was none; `billed` is "no" only where nothing can have arrived.
        """
        wire = self._wire(request)
        for pause_s in RETRY_PAUSES_S:
            try:
                return await self._exchange(wire)
            except httpcore2.ConnectError:
                await self._clock.sleep(pause_s)
            except _FAILURES as error:
                raise self._failure(error) from error
        try:
            return await self._exchange(wire)
        except _FAILURES as error:
            raise self._failure(error) from error

    async def close(self) -> None:
        """Give back connections."""
        await self._connections.close()

    async def _exchange(self, wire: httpcore2.Request) -> UpstreamReply:
        connection = await self._connections.take()
        try:
            response = await connection.handle_async_request(wire)
            _check_asked_for(response)
        except BaseException:
            await self._connections.give_back(connection)
            raise
        return HttpReply(response, connection, self._connections, self.name)

    def _wire(self, request: UpstreamRequest) -> httpcore2.Request:
        target = self._base + checked_target(self.name, request.target).encode("ascii")
        if request.method not in _METHODS:
            raise RequestRefused(
                f"{self.name}: the method {request.method[:20]!r} is not passed on", billed="no"
            )
        named = _named(request.headers)
        headers = [self._first]
        headers += [h for h in request.headers if h[0] not in _OURS and h[0] not in named]
        headers += self._last
        if request.body or request.method not in _BODILESS:
            headers.append((b"content-length", b"%d" % len(request.body)))
        silence = request.timeout_s
        return httpcore2.Request(
            request.method.encode("ascii"),
            httpcore2.URL(scheme=self._scheme, host=self._host, port=self._port, target=target),
            headers=headers,
            content=request.body,
            extensions={"timeout": {"connect": min(CONNECT_TIMEOUT_S, silence), "read": silence}},
        )

    def _failure(self, error: Exception) -> ModelError:
        match error:
            case httpcore2.ConnectTimeout():
                return ModelTimeout(
                    f"{self.name}: no connection to {self._endpoint.host} in time",
                    billed="no",
                    next_step="Check the network and the upstream's address.",
                )
            case httpcore2.ConnectError() | httpcore2.ProxyError():
                return ConnectionLost(
                    f"{self.name}: {self._endpoint.host} cannot be reached ({_detail(error)})",
                    billed="no",
                    next_step="Check the network, the proxy settings and the upstream's address.",
                )
            case httpcore2.LocalProtocolError():
                # Found before the head is sent. Its text quotes the header, which may be private.
                return RequestRefused(
                    f"{self.name}: a header has a name or a value that HTTP does not allow",
                    billed="no",
                    next_step="Remove line breaks and control characters from the headers.",
                )
            case _:
                return broken(self.name, error)


class HttpReply:
    """An answer whose head has come. Compressed only where the upstream compresses unasked; its
    content-encoding says so.
    """

    def __init__(
        self,
        response: httpcore2.Response,
        connection: httpcore2.AsyncConnectionInterface,
        connections: Connections,
        name: str,
    ) -> None:
        self._response = response
        self._connection = connection
        self._connections = connections
        self._name = name
        self._pieces: AsyncGenerator[bytes] | None = None
        self._closed = False
        self.status: int = response.status
        self.headers: Headers = _passed_back(response.headers)

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, each piece as soon as it is there; can be asked for once.

        Raises:
            ModelError: the connection broke or fell silent; `billed` is "unknown".
        """
        self._pieces = self._read()
        return self._pieces

    async def close(self) -> None:
        """Give the connection back, or end it when the body was not read to its end."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._response.aclose()
            if isinstance(self._pieces, AsyncGeneratorType) and not self._pieces.ag_running:
                await self._pieces.aclose()
        finally:
            await self._connections.give_back(self._connection)

    async def _read(self) -> AsyncGenerator[bytes]:
        stream = self._response.stream
        assert isinstance(stream, AsyncIterable)
        try:
            async for piece in stream:
                yield piece
        except _FAILURES as error:
            raise broken(self._name, error) from error


def _check_asked_for(response: httpcore2.Response) -> None:
    stream = response.extensions["network_stream"]
    if not isinstance(stream, Stream):
        raise httpcore2.RemoteProtocolError("it changed to another protocol, unasked")
    # Bytes left over from the answer before are somebody else's; the request has not left then.
    if not stream.heard:
        raise httpcore2.ConnectError("an answer stood there before its request")


def broken(name: str, error: Exception) -> ModelError:
    """A failure after the first byte may have gone out: nobody can know what was done."""
    if isinstance(error, (httpcore2.TimeoutException, TimeoutError)):
        return ModelTimeout(
            f"{name}: the upstream fell silent",
            billed="unknown",
            next_step="Try again, or allow a longer silence.",
        )
    return ConnectionLost(
        f"{name}: the connection broke ({_detail(error)})",
        billed="unknown",
        next_step="Try again; the call may have been charged.",
    )


def _detail(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _named(headers: Headers) -> frozenset[bytes]:
    """The headers that a Connection header declares its own (RFC 9110, 7.6.1)."""
    values = [value for name, value in headers if name == b"connection"]
    if not values:
        return frozenset()
    return frozenset(part.strip().lower() for value in values for part in value.split(b","))


def _passed_back(headers: list[tuple[bytes, bytes]]) -> Headers:
    lower = tuple((name.lower(), value) for name, value in headers)
    dropped = _HOP_BY_HOP | _named(lower)
    if any(name == b"transfer-encoding" for name, _ in lower):
        dropped |= {b"content-length"}
    return tuple(
        header for header in lower if header[0] not in dropped and not header[0].startswith(_NOTES)
    )
