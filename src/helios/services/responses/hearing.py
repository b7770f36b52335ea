"""What the provider says of its own windows in the heads of its answers, kept now and then."""

import math
from collections.abc import Callable
from dataclasses import replace

from helios.domain.budget.signal import Signal
from helios.ports.budget import BudgetBook
from helios.ports.clock import Clock
from helios.ports.upstream import Headers, UpstreamReply

EVERY_S = 5.0
"""The figures move in whole percents; a refusal is kept at once."""


class Hearing:
    """Keeps signals; `signals_in` reads them from headers, not dated yet."""

    def __init__(
        self, book: BudgetBook, clock: Clock, signals_in: Callable[[Headers], tuple[Signal, ...]]
    ) -> None:
        self._book = book
        self._clock = clock
        self._signals_in = signals_in
        self._heard_at = -math.inf

    async def hear(self, reply: UpstreamReply) -> None:
        """Keep what an answer tells, unless it was heard a moment ago."""
        now = self._clock.monotonic()
        if now - self._heard_at < EVERY_S and reply.status != 429:
            return
        self._heard_at = now
        for signal in self._signals_in(reply.headers):
            await self._book.save_signal(replace(signal, at=self._clock.now()))
