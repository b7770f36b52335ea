"""The gateway's way to a model: admit a client's request as it came, hold it while room is short.

What is admitted counts as sent from the same commit on, because its first byte goes out at once.
"""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import structlog

from helios.domain.budget.ledger import Admission, Request
from helios.domain.budget.limit import Limit
from helios.domain.gateway.key import Policy
from helios.domain.gateway.refusal import Refusal, never_fits, no_room
from helios.domain.pricing import Model
from helios.errors import ModelError, ReservationLost, UnknownPrice
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
log = structlog.get_logger("helios.gateway")


@dataclass(frozen=True, slots=True)
class _Denied:
    """A form of the request that was refused, `never` to fit even an empty window."""

    answer: Admission
    never: bool

    @property
    def hopeless(self) -> tuple[bool, bool, float]:
        """By which the form is found that waiting helps first."""
        resets_at = self.answer.resets_at
        return self.never, not self.answer.waits, math.inf if resets_at is None else resets_at


class Forwarder:
    """Admits requests that go upstream as they are."""

    def __init__(self, parts: GatewayParts, advisor: Advisor) -> None:
        self._parts = parts
        self._advisor = advisor

    async def admit(self, call: Inbound, held: Held) -> Passage | Refusal:
        """A passage for the request, or why there is none.

        Waits up to `call.hold_s` seconds while room is only held, or for a window that resets
        before that, for any form in which it may be sent; `held` is called now and then meanwhile.

        Raises:
            UnknownPrice: the model's price is not known.
            RequestRefused: nothing bounds what it would take.
            ModelError: that depends on a count, which cannot be had now.
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
        sizing = Sizing(self._parts, call)
        whole = await self._first(call, model, sizing)
        seen: int | None = None
        while True:
            tried = await self._try(call, whole, sizing)
            if isinstance(tried, Passage):
                return tried
            wait_s = self._worth_waiting(tried, deadline - clock.monotonic())
            if wait_s is None:
                return self._refusal(tried, sizing)
            await held()
            if seen is not None:
                await self._parts.ledger.wait_for_room(min(wait_s, LOOK_AGAIN_S), seen)
            # Taken before asking once more, so that what is freed meanwhile is not missed.
            seen = await self._parts.ledger.version()
            if shut_out := await call.shut_out():
                return shut_out

    async def _limits(self, call: Inbound) -> tuple[Limit, ...]:
        await self._parts.governor.refresh()
        return self._parts.governor.ceilings.of_account(call.account)

    async def _first(self, call: Inbound, model: Model, sizing: Sizing) -> Outgoing:
        """What to ask first: as the client wrote it, or as its key's policy has it."""
        if call.policy is not Policy.OFF:
            return await self._advisor.outgoing(call, model, sizing)
        return await sizing.whole(model, call.body)

    async def _try(self, call: Inbound, whole: Outgoing, sizing: Sizing) -> Passage | _Denied:
        """The first form of the request that is granted, or what came nearest to it."""
        limits = await self._limits(call)
        first = await self._reserve(call, whole, limits)
        if first.granted:
            return self._passage(call, whole, first)
        denied = [_Denied(first, _never_fits(first, whole, limits))]
        async for form in self._others(call, whole, first, limits, sizing):
            answer = await self._reserve(call, form, limits)
            if answer.granted:
                return self._passage(call, form, answer)
            denied.append(_Denied(answer, _never_fits(answer, form, limits)))
        return min(reversed(denied), key=lambda form: form.hopeless)

    async def _others(
        self,
        call: Inbound,
        whole: Outgoing,
        refused: Admission,
        limits: tuple[Limit, ...],
        sizing: Sizing,
    ) -> AsyncIterator[Outgoing]:
        """The same in forms that take less."""
        if refused.smaller_may_fit(limits):
            async for smaller in sizing.smaller(whole, limits):
                yield smaller
        if call.policy is not Policy.ENFORCE:
            return
        for model in reversed(self._parts.catalogue.unprefixed().ladder()):
            if model.tier.rank < whole.model.tier.rank and call.key.allows(model.name):
                try:
                    form = await self._advisor.switched(call, model, refused.reason, sizing)
                except ModelError as error:
                    log.warning("not switched", request=call.request_id, error=error.message)
                else:
                    yield form

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

    def _refusal(self, tried: _Denied, sizing: Sizing) -> Refusal:
        """Why there is no room; what could be for good is not said without a count.

        Raises:
            ModelError: the count cannot be had now.
        """
        answer = tried.answer
        never = never_fits(answer.reason) if tried.never else None
        refusal = never or no_room(answer, self._parts.clock.now())
        if refusal.status == 402 and sizing.not_counted:
            raise sizing.not_counted
        return refusal

    def _worth_waiting(self, tried: _Denied, left_s: float) -> float | None:
        """How long at most until asking again is worth it; None when it is not in time."""
        answer = tried.answer
        if left_s <= 0 or tried.never:
            return None
        resets_at = math.inf if answer.resets_at is None else answer.resets_at
        resets_in_s = max(resets_at - self._parts.clock.now(), 0.0) + RESET_MARGIN_S
        if answer.waits:
            return min(left_s, resets_in_s)
        return resets_in_s if resets_in_s <= left_s else None


def _never_fits(answer: Admission, form: Outgoing, limits: tuple[Limit, ...]) -> bool:
    """Whether even an empty window has no room for it; one that was lowered will be larger."""
    tier = form.model.tier
    return any(
        limit.key == answer.binding
        and limit.lowered is None
        and limit.share_of(form.bound, tier) > limit.cap
        for limit in limits
    )
