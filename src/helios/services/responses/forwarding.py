"""The gateway's way to a model: admit a client's request as it came, hold it while room is short.

What is admitted counts as sent from the same commit on, because its first byte goes out at once.
"""

import math
from collections.abc import AsyncIterator, Awaitable, Callable

from helios.domain.budget.ledger import Admission, Request
from helios.domain.budget.limit import Limit
from helios.domain.gateway.key import Policy
from helios.domain.gateway.refusal import Refusal, hard_stop, no_room
from helios.domain.pricing import Model
from helios.errors import ReservationLost, UnknownPrice
from helios.services.responses.advising import Advisor
from helios.services.responses.gateway_parts import GatewayParts
from helios.services.responses.inbound import Inbound, Outgoing
from helios.services.responses.passage import Passage
from helios.services.responses.sizing import Sizing

Held = Callable[[], Awaitable[None]]
"""What is done for a client that waits."""
LEASE_S = 3600.0
"""Longer than any stream; what is left open by a crash is charged its estimate then."""
RESET_MARGIN_S = 0.1
LOOK_AGAIN_S = 15.0
"""Ceilings may be raised while a request is held, which no ledger tells."""


class Forwarder:
    """Admits requests that go upstream as they are."""

    def __init__(self, parts: GatewayParts, advisor: Advisor) -> None:
        self._parts = parts
        self._advisor = advisor
        self._sizing = Sizing(parts)

    async def admit(self, call: Inbound, held: Held) -> Passage | Refusal:
        """A passage for the request, or why there is none.

        Waits up to `call.hold_s` seconds while room is only held, or for a window that resets
        before that; `held` is called now and then meanwhile.

        Raises:
            UnknownPrice: the model's price is not known.
            RequestRefused: nothing bounds what it would take.
            StoreError: the books cannot be reached.
        """
        if call.asked.unpriced:
            raise UnknownPrice(
                f"the price of {call.asked.unpriced} is not known",
                next_step="Leave it out of the request.",
            )
        clock = self._parts.clock
        model = self._parts.catalogue.model(call.asked.model)
        deadline = clock.monotonic() + call.hold_s
        whole = await self._first(call, model)
        seen: int | None = None
        while True:
            limits = await self._limits(call)
            answer = await self._try(call, whole, limits)
            if isinstance(answer, Passage):
                return answer
            left_s = deadline - clock.monotonic()
            wait_s = self._worth_waiting(answer, left_s)
            if wait_s is None or _never_fits(answer, whole, limits):
                if _never_fits(answer, whole, limits):
                    return hard_stop(answer.reason)
                return no_room(answer, clock.now())
            await held()
            if seen is not None:
                await self._parts.ledger.wait_for_room(min(wait_s, LOOK_AGAIN_S), seen)
            # Taken before asking once more, so that what is freed meanwhile is not missed.
            seen = await self._parts.ledger.version()

    async def _limits(self, call: Inbound) -> tuple[Limit, ...]:
        await self._parts.governor.refresh()
        return self._parts.governor.ceilings.of_account(call.account)

    async def _first(self, call: Inbound, model: Model) -> Outgoing:
        """What to ask first: as the client wrote it, or as its key's policy has it."""
        if call.policy is not Policy.OFF:
            return await self._advisor.outgoing(call, model, self._sizing)
        return await self._sizing.whole(call, model, call.body)

    async def _try(
        self, call: Inbound, whole: Outgoing, limits: tuple[Limit, ...]
    ) -> Passage | Admission:
        """The first form of the request that is granted, or the refusal of the last."""
        answer = await self._reserve(call, whole, limits)
        if not answer.granted and answer.smaller_may_fit(limits):
            async for smaller in self._sizing.smaller(call, whole, limits):
                second = await self._reserve(call, smaller, limits)
                if second.granted:
                    return self._passage(call, smaller, second)
        if not answer.granted and call.policy is Policy.ENFORCE:
            async for cheaper in self._cheaper(call, whole, answer):
                second = await self._reserve(call, cheaper, limits)
                if second.granted:
                    return self._passage(call, cheaper, second)
        return self._passage(call, whole, answer) if answer.granted else answer

    async def _cheaper(
        self, call: Inbound, whole: Outgoing, refusal: Admission
    ) -> AsyncIterator[Outgoing]:
        for model in reversed(self._parts.catalogue.unprefixed().ladder()):
            if model.tier.rank < whole.model.tier.rank and call.key.allows(model.name):
                yield await self._advisor.switched(call, model, refusal.reason, self._sizing)

    async def _reserve(
        self, call: Inbound, outgoing: Outgoing, limits: tuple[Limit, ...]
    ) -> Admission:
        request = Request(
            request_id=call.request_id,
            tier=outgoing.model.tier,
            estimate=outgoing.bound,
            priority=call.priority,
            lease_s=LEASE_S,
            sends=True,
        )
        return await self._parts.governor.reserve(request, limits)

    def _passage(self, call: Inbound, outgoing: Outgoing, granted: Admission) -> Passage:
        if granted.entry is None:
            raise ReservationLost(f"{call.request_id} was admitted without an entry")
        return Passage(self._parts, call, outgoing, granted.entry)

    def _worth_waiting(self, answer: Admission, left_s: float) -> float | None:
        """How long at most until asking again is worth it; None when it is not in time."""
        if left_s <= 0:
            return None
        resets_at = math.inf if answer.resets_at is None else answer.resets_at
        resets_in_s = max(resets_at - self._parts.clock.now(), 0.0) + RESET_MARGIN_S
        if answer.waits:
            return min(left_s, resets_in_s)
        return resets_in_s if resets_in_s <= left_s else None


def _never_fits(answer: Admission, whole: Outgoing, limits: tuple[Limit, ...]) -> bool:
    """Whether even an empty window has no room for it."""
    tier = whole.model.tier
    return any(
        limit.key == answer.binding and limit.share_of(whole.bound, tier) > limit.cap
        for limit in limits
    )
