"""The only way to a model: reserve, mark sent, call, keep the reply, settle.

A call is named by its request id. Asking again under the same name after a crash gives the kept
reply without a second call; a call that was cut off between sending and answering is charged its
estimate, because nobody can know, and sent anew under a name of its own.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from helios.domain.budget.estimate import call_actual, call_bound, input_bound
from helios.domain.budget.ledger import Entry, EntryState, Request
from helios.domain.budget.limit import Limit
from helios.domain.ids import RequestId, RunId, TaskId, request_id
from helios.domain.pricing import Catalogue
from helios.domain.usage import Usage
from helios.errors import ModelError, ReservationLost
from helios.ports.clock import Clock
from helios.ports.ledger import Ledger
from helios.ports.models import ModelReply, ModelRequest, Provider
from helios.ports.runs import CallRecord, RunStore
from helios.services.governor import Governor

LEASE_MARGIN_S = 60.0
log = structlog.get_logger("helios.agent")


@dataclass(frozen=True, slots=True)
class Call:
    """One question of a task's attempt, and the limits that bound it."""

    run: RunId
    task: TaskId
    attempt: int
    request: ModelRequest
    limits: tuple[Limit, ...]
    priority: int = 5
    number: int = 1


class Responses:
    """Makes model calls that no limit is overrun by and no crash makes twice."""

    def __init__(
        self,
        *,
        governor: Governor,
        ledger: Ledger,
        runs: RunStore,
        provider: Provider,
        catalogue: Catalogue,
        clock: Clock,
    ) -> None:
        self._governor = governor
        self._ledger = ledger
        self._runs = runs
        self._provider = provider
        self._catalogue = catalogue
        self._clock = clock

    async def ask(self, call: Call) -> ModelReply:
        """The reply to a call.

        Raises:
            BudgetExhausted: no room; nothing was sent.
            ModelError: the provider failed; what is not proved unbilled is charged.
            UnknownPrice: the model's price is not known; nothing was sent.
        """
        name, kept = await self._resume(call)
        if kept:
            return kept
        entry = await self._reserve(call, name)
        return await self._send(call, name, entry)

    async def _resume(self, call: Call) -> tuple[RequestId, ModelReply | None]:
        """The first name not used up, and the reply if one was kept under a name before it."""
        resend = 0
        while True:
            name = request_id(call.run, call.task, call.attempt, call.number, resend)
            entry = await self._ledger.entry(name)
            kept = await self._runs.call(name)
            if kept:
                await self._settle_kept(entry, kept)
                return name, reply_from_json(kept.reply)
            if entry is None:
                return name, None
            if not entry.state.final:
                await self._ledger.charge_unknown(name)
                log.warning("outcome unknown", request=name, state=str(entry.state))
            resend += 1

    async def _settle_kept(self, entry: Entry | None, kept: CallRecord) -> None:
        """Finish the books of a reply that was kept just before a crash."""
        settled = (EntryState.SETTLED, EntryState.RELEASED)
        if entry is None or entry.state in settled:
            return
        fence = entry.fence
        if not entry.state.final:
            fence = (await self._ledger.take_over(kept.request, LEASE_MARGIN_S)).fence
        model = self._catalogue.model(kept.model)
        await self._governor.settle(kept.request, fence, call_actual(model, kept.usage))

    async def _reserve(self, call: Call, name: RequestId) -> Entry:
        model = self._catalogue.model(call.request.model)
        estimate = call_bound(
            model,
            input_tokens=input_bound(call.request.text_bytes),
            max_output_tokens=call.request.max_tokens,
        )
        wish = Request(
            request_id=name,
            tier=model.tier,
            estimate=estimate,
            priority=call.priority,
            lease_s=call.request.timeout_s + LEASE_MARGIN_S,
        )
        admission = await self._governor.request(wish, call.limits)
        if admission.entry is None:
            raise ReservationLost(f"{name} was admitted without an entry")
        return admission.entry

    async def _send(self, call: Call, name: RequestId, entry: Entry) -> ModelReply:
        await self._ledger.mark_sent(name, entry.fence)
        started = self._clock.now()
        try:
            reply = await self._provider.call(call.request)
        except ModelError as error:
            await asyncio.shield(self._close_failed(name, entry, error))
            raise
        except asyncio.CancelledError:
            await asyncio.shield(self._ledger.charge_unknown(name))
            raise
        await asyncio.shield(self._keep(call, name, entry, reply, started))
        return reply

    async def _close_failed(self, name: RequestId, entry: Entry, error: ModelError) -> None:
        if error.billed == "no":
            await self._ledger.release(name, entry.fence, unbilled=True)
        else:
            await self._ledger.charge_unknown(name)
        log.warning("call failed", request=name, error=error.code, billed=error.billed)

    async def _keep(
        self, call: Call, name: RequestId, entry: Entry, reply: ModelReply, started: float
    ) -> None:
        """Keep the reply first, then settle: a crash between the two loses neither."""
        model = self._catalogue.model(call.request.model)
        record = CallRecord(
            request=name,
            run=call.run,
            task=call.task,
            attempt=call.attempt,
            model=model.name,
            tier=str(model.tier),
            provider=self._provider.name,
            simulated=reply.simulated,
            usage=reply.usage,
            cost_microusd=model.cost_microusd(reply.usage),
            started_at=started,
            finished_at=self._clock.now(),
            reply=reply_to_json(reply),
        )
        await self._runs.save_call(record)
        await self._governor.settle(name, entry.fence, call_actual(model, reply.usage))


def reply_to_json(reply: ModelReply) -> str:
    """A reply as text, to be read back letter by letter."""
    return json.dumps(asdict(reply), ensure_ascii=False)


def reply_from_json(text: str) -> ModelReply:
    """The reply a text was made of."""
    data: Mapping[str, Any] = json.loads(text)
    return ModelReply(**{**data, "usage": Usage(**data["usage"])})
