"""An agent's call: reserve, mark sent, call, keep the reply, settle.

A call is named by its request id. Asking again under the same name after a crash gives the kept
reply without a second call; a call that was cut off between sending and answering is charged its
estimate, because nobody can know, and sent anew under a name of its own. So is a call that was cut
off at an output that Helios had lowered: both are paid, and no call of that task is lowered again.
"""

import asyncio
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import structlog

from helios.domain.budget.estimate import call_actual
from helios.domain.budget.ledger import Entry, EntryState, Request
from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Amounts, Unit
from helios.domain.ids import RequestId, RunId, TaskId, request_id
from helios.domain.pricing import Catalogue
from helios.domain.usage import Usage
from helios.errors import ModelError, ReservationLost
from helios.ports.budget import BudgetBook
from helios.ports.clock import Clock
from helios.ports.ledger import Ledger
from helios.ports.models import ModelReply, ModelRequest, Provider, ToolCall
from helios.ports.runs import CallRecord, RunStore
from helios.services.ceilings import with_room_to_resend
from helios.services.estimates import Estimates, Sized
from helios.services.governor import Governor

CUT = "max_tokens"
"""The stop reason of a reply that used all the output it was allowed."""
LEASE_MARGIN_S = 60.0
_LOWERED = "lowered_to"
log = structlog.get_logger("helios.agent")


@dataclass(frozen=True, slots=True)
class Call:
    """One question of a task's attempt, and the limits that bound it.

    `agent` is who asks, `account` whose budget it is; "" when not known.
    """

    run: RunId
    task: TaskId
    attempt: int
    request: ModelRequest
    limits: tuple[Limit, ...]
    priority: int = 5
    number: int = 1
    agent: str = ""
    account: str = ""


class Responses:
    """Makes model calls that no limit is overrun by and no crash makes twice.

    `lower_output` is the policy: whether a call that does not fit may ask for less output.
    """

    def __init__(  # noqa: PLR0913 - named at the one place that joins them
        self,
        *,
        governor: Governor,
        ledger: Ledger,
        runs: RunStore,
        provider: Provider,
        catalogue: Catalogue,
        clock: Clock,
        book: BudgetBook,
        lower_output: bool = True,
    ) -> None:
        self._governor = governor
        self._ledger = ledger
        self._runs = runs
        self._provider = provider
        self._catalogue = catalogue
        self._clock = clock
        self._book = book
        self._refused: dict[tuple[TaskId, str], int] = {}
        self._estimates = Estimates(
            catalogue,
            book,
            count=provider.count_tokens,
            simulated=provider.simulated,
            lower_output=lower_output,
        )

    async def ask(self, call: Call) -> ModelReply:
        """The reply to a call.

        A call that does not fit asks for less output, as far as the policy allows. When that was
        not enough, it is asked once more in full.

        Raises:
            BudgetExhausted: no room; nothing was sent, or nothing after a reply that was cut off.
            ModelError: the provider failed; what is not proved unbilled is charged.
            UnknownPrice: the model's price is not known; nothing was sent.
        """
        while True:
            name, kept = await self._resume(call)
            if kept:
                return kept
            entry, size = await self._reserve(await self._with_resends(call), name)
            reply = await self._send(call, name, entry, size)
            if not (size.lowered and reply.stop_reason == CUT):
                return reply
            log.info("cut off, asked again in full", request=name, at=size.request.max_tokens)

    async def least(self, call: Call) -> tuple[Amounts, tuple[Limit, ...]]:
        """The least such a call may be held at, and the limits that bind it; nobody is asked.

        What it reads was counted when it was last refused, and counts as nothing before.
        """
        call = await self._with_resends(call)
        size = await self._estimates.least(
            call.request,
            call.agent,
            read=self._refused.get(_question(call), 0),
            may_lower=await self._may_lower(call),
        )
        return size.bound, call.limits

    async def _with_resends(self, call: Call) -> Call:
        """The call, with room in its task's envelope for what crashes and stops took."""
        lost = 0
        for attempt in range(1, call.attempt + 1):
            sent = await self._names(call, attempt)
            # An attempt that has ended had the last one's outcome, whatever that was.
            for name, entry in sent if attempt == call.attempt else sent[:-1]:
                unknown = entry.state is EntryState.CHARGED_ESTIMATE
                lost += unknown and await self._runs.call(name) is None
        limits = with_room_to_resend(call.limits, call.run, call.task, lost)
        return replace(call, limits=limits)

    async def _names(self, call: Call, attempt: int) -> list[tuple[RequestId, Entry]]:
        """Under what names a call of an attempt was tried, and what became of each."""
        found: list[tuple[RequestId, Entry]] = []
        while True:
            name = request_id(call.run, call.task, attempt, call.number, len(found))
            entry = await self._ledger.entry(name)
            if entry is None:
                return found
            found.append((name, entry))

    async def _resume(self, call: Call) -> tuple[RequestId, ModelReply | None]:
        """The first name not used up, and the reply if a whole one was kept under one before it."""
        resend = 0
        while True:
            name = request_id(call.run, call.task, call.attempt, call.number, resend)
            entry = await self._ledger.entry(name)
            kept = await self._runs.call(name)
            if kept:
                await self._settle_kept(entry, kept)
                if not _is_cut(kept):
                    return name, reply_from_json(kept.reply)
            elif entry is None:
                return name, None
            elif not entry.state.final:
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
        usage = reply_from_json(kept.reply).usage
        await self._governor.settle(kept.request, fence, call_actual(model, usage))

    async def _reserve(self, call: Call, name: RequestId) -> tuple[Entry, Sized]:
        """A hold, and what may be sent under it: the whole call if it fits, else a smaller one."""
        size = self._estimates.whole(call.request)
        answer = await self._governor.reserve(self._wish(call, name, size), call.limits)
        read: int | None = None
        if answer.smaller_may_fit(call.limits):
            may_lower = await self._may_lower(call)
            read = await self._estimates.counted(call.request)
            smaller = await self._estimates.smaller(
                call.request, call.agent, read=read, may_lower=may_lower
            )
            for size in smaller:
                answer = await self._governor.reserve(self._wish(call, name, size), call.limits)
                if answer.granted:
                    break
        if read is not None:
            self._refused[_question(call)] = read
        if not answer.granted:
            answer = await self._governor.request(self._wish(call, name, size), call.limits)
        self._refused.pop(_question(call), None)
        if answer.entry is None:
            raise ReservationLost(f"{name} was admitted without an entry")
        return answer.entry, size

    def _wish(self, call: Call, name: RequestId, size: Sized) -> Request:
        return Request(
            request_id=name,
            tier=self._catalogue.model(call.request.model).tier,
            estimate=size.bound,
            priority=call.priority,
            lease_s=call.request.timeout_s + LEASE_MARGIN_S,
        )

    async def _may_lower(self, call: Call) -> bool:
        """Not where a cut reply could not be asked for again, nor where it already had to be."""
        tier = self._catalogue.model(call.request.model).tier
        for balance in await self._ledger.balances(call.limits):
            limit = balance.limit
            if limit.unit is Unit.MESSAGES and limit.applies_to(tier) and balance.room < 2:
                return False
        return not await self._was_cut(call)

    async def _was_cut(self, call: Call) -> bool:
        """Whether this task was already answered with less than it needed, in any attempt."""
        for attempt in range(1, call.attempt + 1):
            for name, _ in await self._names(call, attempt):
                kept = await self._runs.call(name)
                if kept and _is_cut(kept):
                    return True
        return False

    async def _send(self, call: Call, name: RequestId, entry: Entry, size: Sized) -> ModelReply:
        await self._ledger.mark_sent(name, entry.fence)
        started = self._clock.now()
        try:
            reply = await self._provider.call(size.request)
        except ModelError as error:
            await asyncio.shield(self._close_failed(name, entry, error))
            raise
        except asyncio.CancelledError:
            await asyncio.shield(self._ledger.charge_unknown(name))
            raise
        await asyncio.shield(self._keep(call, name, entry, size, reply, started))
        for signal in reply.signals:
            await self._book.save_signal(replace(signal, at=self._clock.now()))
        return reply

    async def _close_failed(self, name: RequestId, entry: Entry, error: ModelError) -> None:
        if error.billed == "no":
            await self._ledger.release(name, entry.fence, unbilled=True)
        else:
            await self._ledger.charge_unknown(name)
        log.warning("call failed", request=name, error=error.code, billed=error.billed)

    async def _keep(
        self,
        call: Call,
        name: RequestId,
        entry: Entry,
        size: Sized,
        reply: ModelReply,
        started: float,
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
            reply=reply_to_json(reply, size.request.max_tokens if size.lowered else None),
            agent=call.agent,
            account=call.account,
        )
        await self._runs.save_call(record)
        await self._governor.settle(name, entry.fence, call_actual(model, reply.usage))


def _question(call: Call) -> tuple[TaskId, str]:
    """What a refused call is remembered by: asked again, it reads the same."""
    return call.task, call.request.model


def _is_cut(kept: CallRecord) -> bool:
    data = json.loads(kept.reply)
    return data.get(_LOWERED) is not None and data["stop_reason"] == CUT


def reply_to_json(reply: ModelReply, lowered_to: int | None = None) -> str:
    """A reply as text, to be read back letter by letter.

    `lowered_to` is the output it was allowed, where that was less than its caller asked for.
    """
    noted = {} if lowered_to is None else {_LOWERED: lowered_to}
    said = {name: value for name, value in asdict(reply).items() if name != "signals"}
    return json.dumps({**said, **noted}, ensure_ascii=False)


def reply_from_json(text: str) -> ModelReply:
    """The reply a text was made of."""
    data: dict[str, Any] = json.loads(text)
    data.pop(_LOWERED, None)
    calls = tuple(ToolCall(**called) for called in data.pop("calls", ()))
    return ModelReply(**{**data, "usage": Usage(**data["usage"]), "calls": calls})
