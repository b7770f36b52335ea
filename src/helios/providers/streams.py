"""Byte streams for httpcore2 straight over asyncio.

The head and the body of a request leave in one write, where the usual back end makes two and a
cancel scope for each: a third of what a small request costs. And a stream tells whether an answer
was heard after its request was said, which a pool needs before it may use a connection again.
"""

import asyncio
import select
import ssl
from collections.abc import Iterable
from typing import Any, cast

import httpcore2

_EYEBALLS_DELAY_S = 0.25
_MOST_UNREAD = 256 * 1024
_JOINED = 64 * 1024


class _Wire(asyncio.Protocol):
    """Collects what comes until somebody reads it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.unread = bytearray()
        self.ended = False
        self.paused = False
        self.error: Exception | None = None
        self.reader: asyncio.Future[bool] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.unread += data
        if len(self.unread) > _MOST_UNREAD and not self.paused:
            self.paused = True
            self.transport.pause_reading()
        self.wake(in_time=True)

    def eof_received(self) -> bool:
        self.ended = True
        self.wake(in_time=True)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.error = exc
        self.wake(in_time=True)

    def wake(self, *, in_time: bool) -> None:
        if self.reader is not None and not self.reader.done():
            self.reader.set_result(in_time)


class Stream(httpcore2.AsyncNetworkStream):
    """One connection. What is written leaves with the next read.

    A ConnectError from here on means that nothing of the request has left. `heard` says whether
    bytes have come since the last request.
    """

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire
        self._unsent: list[bytes] = []
        self._poll = select.poll()
        self._poll.register(wire.transport.get_extra_info("socket").fileno(), select.POLLIN)
        self.heard = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - its interface
        """What has come, at least one byte; none at the end."""
        wire = self._wire
        if self._unsent:
            self._send()
        while not wire.unread:
            if wire.error is not None:
                raise httpcore2.ReadError(str(wire.error)) from wire.error
            if wire.ended:
                return b""
            if not await self._something(timeout):
                raise httpcore2.ReadTimeout
        self.heard = True
        data = bytes(wire.unread[:max_bytes])
        del wire.unread[:max_bytes]
        if wire.paused:
            wire.paused = False
            wire.transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - its interface
        """Keep what is to be sent; it is in memory as a whole, so there is nothing to wait for."""
        del timeout
        if buffer:
            self.heard = False
            self._unsent.append(buffer)

    async def aclose(self) -> None:
        """End the connection now, also with bytes on their way."""
        self._unsent.clear()
        self._wire.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - its interface
    ) -> httpcore2.AsyncNetworkStream:
        """Shake hands on the connection."""
        loop = asyncio.get_running_loop()
        if self._wire.unread:
            raise httpcore2.ConnectError("something was said before the handshake")
        try:
            async with asyncio.timeout(timeout):
                transport = await loop.start_tls(
                    self._wire.transport, self._wire, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        finally:
            if self._wire.error is not None or self._wire.ended:
                self._wire.transport.abort()
        if transport is None:
            raise httpcore2.ConnectError("the connection was closed during the handshake")
        self._wire.transport = transport
        return self

    def get_extra_info(self, info: str) -> Any:
        """What httpcore2 asks of a stream."""
        if info == "is_readable":
            wire = self._wire
            # A body that nobody took is not to be followed by another request.
            if wire.unread or wire.ended or wire.transport.get_write_buffer_size():
                return True
            # The kernel knows of a hang-up before the loop has come round to it.
            return bool(self._poll.poll(0))
        return self._wire.transport.get_extra_info(info)

    def _send(self) -> None:
        if self._wire.unread or self._wire.ended:
            raise httpcore2.ConnectError("the connection was no longer fit for a request")
        pieces, self._unsent = self._unsent, []
        transport = self._wire.transport
        if sum(map(len, pieces)) <= _JOINED:
            transport.write(b"".join(pieces))
        else:
            for piece in pieces:
                transport.write(piece)

    async def _something(self, patience_s: float | None) -> bool:
        """Wait until bytes, the end or an error are there; False when time is over."""
        wire = self._wire
        loop = asyncio.get_running_loop()
        wire.reader = loop.create_future()
        timer = None
        if patience_s is not None:
            timer = loop.call_later(patience_s, lambda: wire.wake(in_time=False))
        try:
            return await wire.reader
        finally:
            wire.reader = None
            if timer is not None:
                timer.cancel()


class Backend(httpcore2.AsyncNetworkBackend):
    """Makes streams over TCP."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - its interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect; neither an address of our own nor socket options are asked for."""
        del local_address, socket_options
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {}
        if isinstance(loop, asyncio.BaseEventLoop):
            # uvloop does not know it and tries the addresses in their order.
            options["happy_eyeballs_delay"] = _EYEBALLS_DELAY_S
        try:
            async with asyncio.timeout(timeout):
                _, wire = await loop.create_connection(_Wire, host, port, **options)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(str(error)) from error
        return Stream(wire)

    async def sleep(self, seconds: float) -> None:
        """Wait between httpcore2's own tries, of which there are none here."""
        await asyncio.sleep(seconds)
