"""Callers that hang up while they wait."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request

T = TypeVar("T")


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do the work unless its caller hangs up: room goes to those who still want it.

    Args:
        request: its body must have been read.
        work: is cancelled when the caller goes first.
    """
    task, gone = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise HTTPException(408, "the caller has hung up")  # that nobody reads
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.wait({task, gone})  # who is stopped may have something to give back


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
