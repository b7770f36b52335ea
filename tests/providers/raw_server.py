"""A server that speaks HTTP by hand, so that a test sees every byte and can break every rule."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass
class Peer:
    """One connection of a client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """Head and body as they came; IncompleteReadError when the client has gone."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lengths = [
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        ]
        return head + (await self.reader.readexactly(lengths[0]) if lengths else b"")

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Break the connection at once."""
        self.writer.transport.abort()


async def until(true: Callable[[], bool], patience_s: float = 20.0) -> None:
    """Let everybody go on until something holds."""
    for _ in range(int(patience_s / 0.002)):
        if true():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it never came to hold")


Talk = Callable[[Peer], Awaitable[None]]


@dataclass
class RawServer:
    """What was seen: raw requests, and how many connections were made."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def raw_server(
    answer: bytes | Talk = OK, *, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[RawServer]:
    """Answers every request with the same bytes, or lets `answer` talk once the head has come."""
    server = RawServer()
    talks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        talks.add(task)
        task.add_done_callback(talks.discard)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        peer = Peer(reader, writer)
        try:
            while True:
                server.requests.append(await peer.request())
                if isinstance(answer, bytes):
                    await peer.send(answer)
                else:
                    await answer(peer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            server.gone.set()
            writer.close()

    listener = await asyncio.start_server(accept, "127.0.0.1", port, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tuple(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
