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
from helios.domain.gateway.rewrite import with_max_tokens
from helios.domain.pricing import Model
from helios.errors import ModelError
from helios.services.responses.counting import count_input
from helios.services.responses.gateway_parts import GatewayParts
from helios.services.responses.inbound import Inbound, Outgoing

LEAST_OUTPUT = 4096
"""An answer is not cut below this many tokens where nothing is learned of its author."""
log = structlog.get_logger("helios.gateway")


class Sizing:
    """Bounds requests that go upstream as they are."""

    def __init__(self, parts: GatewayParts) -> None:
        self._parts = parts

    async def whole(self, call: Inbound, model: Model, body: bytes) -> Outgoing:
        """What is asked for, bounded by its bytes, or by a count where bytes do not bound it.

        Raises:
            RequestRefused: nothing bounds it.
        """
        counted = await self._counted(call, body) if call.asked.needs_count else None
        return Outgoing(model, body, call.asked.max_tokens, self._bound(call, body, model, counted))

    async def smaller(
        self, call: Inbound, whole: Outgoing, limits: tuple[Limit, ...]
    ) -> AsyncIterator[Outgoing]:
        """The same by the provider's count, then with less output: the largest first."""
        asked, model, body = call.asked, whole.model, whole.body
        counted = await self._counted(call, body)
        if counted is not None:
            sharper = self._bound(call, body, model, counted)
            if sharper[Unit.TOKENS] < whole.bound[Unit.TOKENS]:
                yield replace(whole, bound=sharper)
        if not self._parts.lower_output or asked.unbounded:
            return
        output = lowered_max_tokens(
            _room(await self._parts.ledger.balances(limits), model),
            model,
            first_reading(asked, len(body), counted, context_tokens=_window(call, model)),
            asked.max_tokens,
            hour_cache=asked.hour_cache,
            floor=await self._least_output(call, model),
        )
        if output is not None and output < asked.max_tokens:
            lowered = with_max_tokens(body, output)
            less = replace(call, asked=replace(asked, max_tokens=output))
            bound = self._bound(less, body, model, counted)
            note = (b"x-helios-max-tokens", b"%d" % output)
            yield Outgoing(model, lowered, output, bound, (*whole.notes, note))

    def _bound(self, call: Inbound, body: bytes, model: Model, counted: int | None) -> Amounts:
        fallbacks = [self._parts.catalogue.model(name) for name, _ in call.asked.fallbacks]
        return raw_bound(
            call.asked,
            len(body),
            model,
            counted,
            larger_window=asks_for_larger_window(call.headers),
            tool_fee_microusd=SEARCH_FEE_MICROUSD,
            fallbacks=fallbacks,
        )

    async def _counted(self, call: Inbound, body: bytes) -> int | None:
        try:
            return await count_input(self._parts.upstream, call.headers, body)
        except ModelError as error:
            log.warning("input not counted", request=call.request_id, error=error.message)
            return None

    async def _least_output(self, call: Inbound, model: Model) -> int:
        """So much its author needs, by what is learned of it; or a long answer."""
        lengths = await self._parts.book.output_lengths(
            call.agent, model.name, NEWEST, simulated=self._parts.upstream.simulated
        )
        learned = learned_bound(lengths, asked=call.asked.max_tokens)
        return max(least_output(call.asked), learned or LEAST_OUTPUT)


def _window(call: Inbound, model: Model) -> int:
    return window_of(model, larger=asks_for_larger_window(call.headers))


def _room(balances: tuple[Balance, ...], model: Model) -> dict[Unit, int]:
    """The least room of any limit, by unit."""
    room: dict[Unit, int] = {}
    for balance in balances:
        limit = balance.limit
        if limit.applies_to(model.tier):
            room[limit.unit] = min(balance.room, room.get(limit.unit, balance.room))
    return room
