"""Answers on their way: in one piece or as a stream, whole or with what goes wrong.

A stream is billed by what was sent of it: its input when it was accepted, one token when it has
begun, and of the output the tokens of the deltas that were handed to the connection.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any

from helios.providers.simulator.answering import Answering, Work
from helios.providers.simulator.dialect import Dialect
from helios.providers.simulator.exchange import EVENT_STREAM, Exchange, Header
from helios.providers.simulator.faults import SLOW_S, Fault
from helios.providers.simulator.replies import Frame, to_json
from helios.providers.simulator.requests import ApiError

_BROKEN = frozenset({Fault.CUT, Fault.STALL, Fault.ERROR})
_AT_ONCE_BYTES = 48 * 1024
_ERROR = ApiError(500, "api_error", "simulated: internal server error")
_OVERLOADED = ApiError(529, "overloaded_error", "simulated: overloaded")


class Sender:
    """Sends answers in one dialect."""

    def __init__(self, answering: Answering, exchange: Exchange, dialect: Dialect) -> None:
        self._answering = answering
        self._exchange = exchange
        self._dialect = dialect

    async def send_whole(self, work: Work) -> None:
        """Answer in one piece: billed in full, also when the client has left meanwhile."""
        await self._wait(work, work.delay.whole_s)
        if work.fault is Fault.STALL:
            await self._exchange.left()
        if work.fault is Fault.ERROR:
            raise _ERROR
        self._answering.begin(work)
        self._answering.bill(work)
        body = to_json(self._dialect.whole(work.reply))
        half = body[: len(body) // 2]
        if work.fault is Fault.CUT:
            length = (b"content-length", str(len(body)).encode())
            await self._exchange.start(200, b"application/json", (length, *self._limits()))
            await self._exchange.write(half)
            await self._exchange.drop()
            return
        sent = half if work.fault is Fault.MALFORMED else body
        await self._exchange.answer(200, sent, self._limits())

    async def send_stream(self, work: Work, frames: Iterable[Frame]) -> None:
        """Answer as a stream."""
        parts = _with_fault(list(frames), work.fault)
        pause_s = work.delay.rest_s / max(1, len(parts) - 2)
        chunks = list(_joined(parts) if pause_s == 0 else _paced(parts))
        billed, sent = False, 0
        exchange = self._exchange
        try:
            await self._wait(work, work.delay.first_s)
            if exchange.gone:
                return
            self._answering.begin(work)
            await exchange.start(200, EVENT_STREAM, self._limits())
            clock = self._answering.setup.clock
            due_s = clock.monotonic()
            for index, chunk in enumerate(chunks):
                last = index == len(chunks) - 1
                if last and work.fault not in _BROKEN:
                    # Before the last bytes, so that who has them finds the bill written.
                    self._answering.bill(work)
                    billed = True
                sent += chunk.tokens
                await exchange.write(chunk.data, more=not last or work.fault in _BROKEN)
                # By when it is due, so that late timers do not add up.
                due_s += pause_s
                if not last and pause_s:
                    await clock.sleep(max(0.0, due_s - clock.monotonic()))
                if exchange.gone:
                    return
            if work.fault is Fault.STALL:
                await exchange.left()
        finally:
            if not billed and (exchange.started or exchange.gone):
                self._answering.bill(work, max(sent, 1) if exchange.started else 0)
        if work.fault is Fault.CUT:
            await exchange.drop()
        if work.fault is Fault.ERROR:
            await exchange.write(self._dialect.error_event(_OVERLOADED), more=False)

    def _limits(self) -> list[Header]:
        now = self._answering.setup.clock.now()
        return self._answering.limits.headers(self._exchange.organisation, now)

    async def _wait(self, work: Work, seconds: float) -> None:
        clock = self._answering.setup.clock
        if seconds > 0:
            await clock.sleep(seconds)
        if work.fault is Fault.SLOW:
            await _first_of(clock.sleep(SLOW_S), self._exchange.left())


def _with_fault(frames: list[Frame], fault: Fault | None) -> list[Frame]:
    if fault in _BROKEN:
        # The first and the last frame carry no delta.
        return frames[: 1 + (len(frames) - 2) // 2]
    if fault is Fault.MALFORMED:
        middle = len(frames) // 2
        broken = b'event: content_block_delta\ndata: {"type":\n\n'
        frames[middle] = Frame(broken, frames[middle].tokens)
    return frames


def _paced(frames: list[Frame]) -> Iterator[Frame]:
    """The frames one by one, the beginning with the first delta."""
    if len(frames) > 1:
        first, second = frames[:2]
        yield Frame(first.data + second.data, first.tokens + second.tokens)
    else:
        yield from frames
    yield from frames[2:]


def _joined(frames: list[Frame]) -> Iterator[Frame]:
    """The frames together, as many as a connection takes at once."""
    kept: list[bytes] = []
    size = tokens = 0
    for frame in frames:
        kept.append(frame.data)
        size += len(frame.data)
        tokens += frame.tokens
        if size > _AT_ONCE_BYTES:
            yield Frame(b"".join(kept), tokens)
            kept, size, tokens = [], 0, 0
    if kept:
        yield Frame(b"".join(kept), tokens)


async def _first_of(*waits: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
