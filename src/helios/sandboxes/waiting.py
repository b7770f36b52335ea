"""Waiting for file descriptors and for work that must not be cut short."""

import asyncio
import os
from collections.abc import Coroutine
from typing import IO, Any, TypeVar

T = TypeVar("T")

CHUNK_BYTES = 64 * 1024


async def readable(fd: int) -> None:
    """Wait until `fd` can be read; for a pidfd that is when the process has ended."""
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    # A loop knows one reader per descriptor; with one of our own, waiters do not unseat each other.
    own = os.dup(fd)
    loop.add_reader(own, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(own)
        os.close(own)


async def open_reader(pipe: IO[bytes]) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    """Read a pipe without blocking the loop; closing the transport closes the pipe."""
    reader = asyncio.StreamReader(limit=CHUNK_BYTES)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
    return reader, transport


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Finish `work` even when the caller is cancelled; the cancellation is raised afterwards."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
