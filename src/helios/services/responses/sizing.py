"""How much a client's request may take: its bytes at once, a count and less output when room is
short.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

import structlog

from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.output_bound import NEWEST, learned_bound
from helios.domain.budget.units import Amounts, Unit
from helios.domain.gateway.bound import (
    SEARCH_FEE_MICROUSD,
    asks_for_larger_window,
    first_reading,
    least_output,
    lowered_max_tokens,
    raw_bound,
    window_of,
)
from helios.domain.gateway.request import Asked
from helios.domain.gateway.rewrite import with_max_tokens
from helios.domain.pricing import Model
from helios.errors import ModelError
from helios.services.responses.counting import count_input
from helios.services.responses.gateway_parts import GatewayParts
from helios.services.responses.inbound import Inbound, Outgoing

LEAST_OUTPUT = 4096
"""An answer is not cut below this many tokens where nothing is learned of its author."""
COUNT_AGAIN_S = 15.0
"""After a count that failed, in seconds; meanwhile the bytes bound it."""
log = structlog.get_logger("helios.gateway")


class Sizing:
    """Bounds the forms in which one client's request may go upstream."""

    def __init__(self, parts: GatewayParts, call: Inbound) -> None:
        self._parts = parts
        self._call = call
        self._counts: dict[str, int | None] = {}
        self._failed: dict[str, tuple[float, ModelError]] = {}

    @property
    def not_counted(self) -> ModelError | None:
        """Why the provider could not count one of them, which it may later."""
        return next((error for _, error in self._failed.values()), None)

    async def whole(self, model: Model, body: bytes) -> Outgoing:
        """What is asked for, bounded by its bytes, or by a count where bytes do not bound it.

        Raises:
            RequestRefused: nothing bounds it.
            ModelError: it has to be counted, and cannot be now.
        """
        asked = self._call.asked
        counted = await self._counted(model, body) if asked.needs_count else None
        if asked.needs_count and counted is None and self.not_counted:
            raise self.not_counted
        return Outgoing(model, body, asked.max_tokens, self._bound(asked, body, model, counted))

    async def smaller(self, whole: Outgoing, limits: tuple[Limit, ...]) -> AsyncIterator[Outgoing]:
        """The same by the provider's count, then with less output: the largest first.

        The last is the least there can be, whether or not there is room for it.
        """
        asked, model, body = self._call.asked, whole.model, whole.body
        counted = await self._counted(model, body)
        if counted is not None:
            sharper = self._bound(asked, body, model, counted)
            if sharper[Unit.TOKENS] < whole.bound[Unit.TOKENS]:
                yield replace(whole, bound=sharper)
        if not self._parts.lower_output or asked.unbounded:
            return
        least = min(await self._least_output(model), asked.max_tokens)
        output = lowered_max_tokens(
            _room(await self._parts.ledger.balances(limits), model),
            model,
            first_reading(asked, len(body), counted, context_tokens=self._window(model)),
            asked.max_tokens,
            hour_cache=asked.hour_cache,
            floor=least,
        )
        output = least if output is None else output
        if output < asked.max_tokens:
            lowered = with_max_tokens(body, output)
            bound = self._bound(replace(asked, max_tokens=output), body, model, counted)
            note = (b"x-helios-max-tokens", b"%d" % output)
            yield Outgoing(model, lowered, output, bound, (*whole.notes, note))

    def _bound(self, asked: Asked, body: bytes, model: Model, counted: int | None) -> Amounts:
        fallbacks = [self._parts.catalogue.model(name) for name, _ in asked.fallbacks]
        return raw_bound(
            asked,
            len(body),
            model,
            counted,
            larger_window=asks_for_larger_window(self._call.headers),
            tool_fee_microusd=SEARCH_FEE_MICROUSD,
            fallbacks=fallbacks,
        )

    async def _counted(self, model: Model, body: bytes) -> int | None:
        """Asked for once, however often the request is tried, and again a while after it failed;
        for a model it has one body.
        """
        name, clock = model.name, self._parts.clock
        if name in self._counts:
            return self._counts[name]
        if name in self._failed and clock.monotonic() < self._failed[name][0] + COUNT_AGAIN_S:
            return None
        call = self._call
        try:
            self._counts[name] = await count_input(self._parts.upstream, call.headers, body)
        except ModelError as error:
            log.warning("input not counted", request=call.request_id, error=error.message)
            self._failed[name] = clock.monotonic(), error
            return None
        self._failed.pop(name, None)
        return self._counts[name]

    async def _least_output(self, model: Model) -> int:
        """So much its author needs, by what is learned of it; or a long answer."""
        asked = self._call.asked
        lengths = await self._parts.book.output_lengths(
            self._call.agent, model.name, NEWEST, simulated=self._parts.upstream.simulated
        )
        learned = learned_bound(lengths, asked=asked.max_tokens)
        return max(least_output(asked), learned or LEAST_OUTPUT)

    def _window(self, model: Model) -> int:
        return window_of(model, larger=asks_for_larger_window(self._call.headers))


def _room(balances: tuple[Balance, ...], model: Model) -> dict[Unit, int]:
    """The least room of any limit, by unit."""
    room: dict[Unit, int] = {}
    for balance in balances:
        limit = balance.limit
        if limit.applies_to(model.tier):
            room[limit.unit] = min(balance.room, room.get(limit.unit, balance.room))
    return room
