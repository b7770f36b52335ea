"""Work of a caller who is not there any more, or whose server ends, is stopped in order."""

import asyncio
from contextlib import suppress

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from helios.server.leaving import unless_gone


@pytest.mark.parametrize("hangs_up", [True, False])
def test_what_was_begun_is_given_back_before_it_is_over(hangs_up: bool) -> None:
    given_back: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            given_back.append("돌려줌")

    async def receive() -> Message:
        await asyncio.sleep(0 if hangs_up else 60)
        return {"type": "http.disconnect"}

    async def go() -> None:
        waiting = asyncio.create_task(unless_gone(Request({"type": "http"}, receive), work()))
        await asyncio.sleep(0.01)
        if not hangs_up:
            waiting.cancel()
        with suppress(HTTPException, asyncio.CancelledError):
            await waiting
        assert given_back == ["돌려줌"]

    asyncio.run(go())
