"""A server on this machine that answers as it is told, and remembers what it was sent."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Canned:
    """An answer: a JSON body or raw bytes; None breaks the connection after the request."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


@dataclass(slots=True)
class CannedServer:
    """`asked` is the path, the headers and the JSON of each request."""

    url: str
    asked: list[tuple[str, dict[str, str], dict[str, Any]]]


@asynccontextmanager
async def canned(*answers: Canned) -> AsyncIterator[CannedServer]:
    """Each answer once, the last one for ever."""
    left = list(answers)
    asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                headers = {
                    key.lower(): value.strip()
                    for key, _, value in (line.partition(":") for line in lines[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                asked.append((lines[0].split(" ")[1], headers, json.loads(body or b"{}")))
                answer = left.pop(0) if len(left) > 1 else left[0]
                await asyncio.sleep(answer.delay_s)
                if answer.body is None:
                    break
                await _write(writer, answer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield CannedServer(f"http://127.0.0.1:{port}", asked)
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving)


async def _write(writer: asyncio.StreamWriter, answer: Canned) -> None:
    body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    headers = {"content-type": "application/json", **answer.headers, "content-length": len(body)}
    head = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    writer.write(f"HTTP/1.1 {answer.status} Said\r\n{head}\r\n".encode() + body)
    await writer.drain()
