"""One request on its way through the gateway: sent under a reservation, metered, settled."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog

from helios.domain.budget.estimate import call_actual
from helios.domain.budget.ledger import Entry
from helios.domain.budget.spend import Spend
from helios.domain.budget.units import Unit
from helios.domain.gateway.bound import SEARCH_FEE_MICROUSD
from helios.domain.gateway.sse import Meter
from helios.domain.gateway.usage import FROM_BETWEEN, Metered, is_error, read_answer
from helios.domain.pricing import Model
from helios.domain.usage import Usage
from helios.errors import ModelError, ReservationLost, StoreError
from helios.ports.upstream import UpstreamReply, UpstreamRequest
from helios.services.responses.cut_stream import nothing_began, usage_of_cut
from helios.services.responses.gateway_parts import GatewayParts
from helios.services.responses.inbound import Inbound, Outgoing

MOST_ANSWER_BYTES = 64 * 1024 * 1024
NOT_BILLED = frozenset({*range(300, 500), 503, 529})
"""Answers that prove that nothing was billed."""
SEARCHES = "web_search_requests"
TRY_AGAIN_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""The pauses after which the books are tried again that could not be reached, in seconds."""
log = structlog.get_logger("helios.gateway")


class Passage:
    """A request that was admitted. Whoever has one must `finish` it, whatever happens."""

    def __init__(
        self, parts: GatewayParts, call: Inbound, outgoing: Outgoing, entry: Entry
    ) -> None:
        self._parts = parts
        self._entry = entry
        self._reply: UpstreamReply | None = None
        self._sending: asyncio.Future[UpstreamReply] | None = None
        self._reading: asyncio.Future[bytes] | None = None
        self._meter: Meter | None = None
        self._answer = bytearray()
        self._complete = False
        self._closed = False
        self.call = call
        self.outgoing = outgoing

    async def send(self) -> UpstreamReply:
        """Send it once there is a place for it; the head of the answer.

        Raises:
            ModelError: there was no answer.
        """
        call = self.call
        lane, body = self.outgoing.model.name, self.outgoing.body
        request = UpstreamRequest("POST", call.target, call.headers, body, lane=lane)
        self._sending = await self._parts.upstream.begin(request)
        # A client that goes now is billed all the same: somebody has to see what.
        reply = await asyncio.shield(self._sending)
        self._take(reply)
        return reply

    def _take(self, reply: UpstreamReply) -> None:
        self._reply = reply
        streamed = reply.status == 200 and any(
            name == b"content-type" and value.lower().startswith(b"text/event-stream")
            for name, value in reply.headers
        )
        self._meter = Meter(hour_cache=self.call.asked.hour_cache) if streamed else None

    def saw(self, chunk: bytes) -> None:
        """Meter a piece of the body that is passed on."""
        if self._meter:
            self._meter.feed(chunk)
        elif len(self._answer) + len(chunk) <= MOST_ANSWER_BYTES:
            self._answer += chunk
        else:
            raise ModelError("the answer is larger than 64 MB", billed="unknown")

    def saw_end(self) -> None:
        """The body has come to its end."""
        self._complete = True

    async def finish(self) -> None:
        """Close the connection and the books; repeating it changes nothing.

        What cannot have arrived is charged nothing; without an answer otherwise, or after one that
        does not tell what it took, the estimate is charged. Books that cannot be reached are tried
        again for a minute; then the end of the lease closes them.

        Raises:
            StoreError: they could not be reached; they are open.
        """
        if self._reply:
            await self._reply.close()
        if self._closed:
            return
        try:
            await self._settle()
        except ReservationLost as error:
            log.warning("settled too late", request=self.call.request_id, error=error.message)
        except StoreError as error:
            why = "not settled; its estimate is charged when its lease ends"
            log.warning(why, request=self.call.request_id, error=error.message)
            raise
        finally:
            self._closed = True
        await self._hear()

    async def _hear(self) -> None:
        if self._reply and self._parts.hearing:
            try:
                await self._parts.hearing.hear(self._reply)
            except StoreError as error:
                log.warning("not heard", request=self.call.request_id, error=error.message)

    async def read_all(self) -> bytes:
        """The whole body of an answer that is no stream.

        Raises:
            ModelError: it broke off.
        """
        self._reading = asyncio.ensure_future(self._read_all())
        # As with sending: the answer is read and billed also when its client has gone.
        return await asyncio.shield(self._reading)

    async def finish_alone(self) -> None:
        """The same for a client that has gone: what will be billed has to be seen first."""
        try:
            await self._read_rest()
        finally:
            await self.finish()

    async def _read_rest(self) -> None:
        try:
            if self._reading:
                await self._reading
            elif self._reply is None and self._sending:
                self._take(await self._sending)
                await (self._read_beginning() if self._meter else self._read_all())
        except ModelError as error:
            log.warning("broke off", request=self.call.request_id, error=error.message)

    async def _read_all(self) -> bytes:
        async for chunk in self._chunks():
            self.saw(chunk)
        self.saw_end()
        return bytes(self._answer)

    async def _read_beginning(self) -> None:
        """As far as a stream tells what went in."""
        async for chunk in self._chunks():
            self.saw(chunk)
            if self._meter is None or self._meter.metered().started:
                return

    def _chunks(self) -> AsyncIterator[bytes]:
        if self._reply is None:
            raise RuntimeError("read before it was sent")
        return self._reply.chunks()

    @property
    def streamed(self) -> bool:
        """Whether the answer is a stream of events."""
        return self._meter is not None

    async def _settle(self) -> None:
        reply = self._reply
        if reply is None:
            await self._settle_unanswered()
        elif reply.status in NOT_BILLED or self._failed(reply.status):
            await self._release()
        elif reply.status != 200:
            await self._charge_estimate(f"status {reply.status}")
        elif self._meter:
            await self._settle_stream(self._meter)
        else:
            hour_cache = self.call.asked.hour_cache
            answer = (
                read_answer(bytes(self._answer), hour_cache=hour_cache) if self._complete else None
            )
            if answer is None or answer.usage is None:
                await self._charge_estimate("no usage")
            else:
                await self._book(answer, answer.usage)

    def _failed(self, status: int) -> bool:
        """The API itself says that it failed: billed is what a usage tells, and it tells none."""
        own = status >= 500 and status not in FROM_BETWEEN
        return own and self._complete and is_error(bytes(self._answer))

    async def _settle_unanswered(self) -> None:
        error = _failure(self._sending)
        if self._sending is None or (error and error.billed == "no"):
            await self._release()
        else:
            await self._charge_estimate(error.code if error else "no answer")

    async def _settle_stream(self, meter: Meter) -> None:
        told = meter.close()
        usage = told.usage
        if nothing_began(told, meter):
            await self._release()
            return
        if usage is not None and not told.output_known:
            upstream = self._parts.upstream
            usage = await usage_of_cut(upstream, self.call, self.outgoing, meter, usage)
        if usage is None:
            await self._charge_estimate("the stream broke off")
        else:
            await self._book(told, usage)

    async def _book(self, told: Metered, usage: Usage) -> None:
        call, parts = self.call, self._parts
        model = self._priced(told.model, usage)
        listed = model.cost_microusd(usage)
        if told.iterations:
            turns = sum((took for _, took in told.iterations), Usage())
            usage = max(usage, turns, key=lambda all_told: all_told.total_tokens)
            listed = max(listed, self._cost_of_turns(told))
        fees = SEARCH_FEE_MICROUSD * told.server_tools.get(SEARCHES, 0)
        cost = told.rate.cost_microusd(listed, self.outgoing.bound[Unit.MICROUSD]) + fees
        actual = {**call_actual(model, usage), Unit.MICROUSD: cost}
        spend = self._spend(model, usage, cost, told.message_id)
        await self._stored(
            lambda: parts.governor.settle(call.request_id, self._entry.fence, actual),
            lambda: parts.book.save_spend(spend),
        )

    async def _stored(self, *writes: Callable[[], Awaitable[object]]) -> None:
        """Write to the books, where repeating a write changes nothing.

        Raises:
            ReservationLost: the reservation is no longer ours.
            StoreError: the books could not be reached for a minute.
        """
        outcomes = await asyncio.gather(*map(self._written, writes), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _written(self, write: Callable[[], Awaitable[object]]) -> None:
        for pause_s in TRY_AGAIN_S:
            try:
                await write()
            except StoreError as error:
                log.warning("not settled yet", request=self.call.request_id, error=error.message)
                await self._parts.clock.sleep(pause_s)
            else:
                return
        await write()

    def _spend(self, model: Model, usage: Usage, cost_microusd: int, message_id: str = "") -> Spend:
        call, parts = self.call, self._parts
        return Spend(
            request_id=call.request_id,
            at=parts.clock.now(),
            model=model.name,
            tier=str(model.tier),
            usage=usage,
            cost_microusd=cost_microusd,
            simulated=parts.upstream.simulated,
            source="gateway",
            account=call.account,
            project=call.project,
            task=call.task,
            agent=call.agent,
            asked=call.asked.model,
            message_id=message_id,
        )

    def _priced(self, answered_by: str, usage: Usage) -> Model:
        """The model that says it answered, where its price is known.

        Where another may have helped, the dearest of them: which of them took what of the totals
        is not documented.
        """
        models = self._parts.catalogue.models
        answering = models.get(answered_by, self.outgoing.model)
        if not self.call.asked.fallbacks:
            return answering
        helpers = (models[name] for name, _ in self.call.asked.fallbacks)
        named = (answering, self.outgoing.model, *helpers)
        return max(named, key=lambda model: model.cost_microusd(usage))

    def _cost_of_turns(self, told: Metered) -> int:
        """What the single turns come to, each at the price of its own model, where it is known."""
        models = self._parts.catalogue.models
        return sum(
            (models.get(name) or self._priced(told.model, took)).cost_microusd(took)
            for name, took in told.iterations
        )

    async def _release(self) -> None:
        ledger, fence = self._parts.ledger, self._entry.fence
        await self._stored(lambda: ledger.release(self.call.request_id, fence, unbilled=True))

    async def _charge_estimate(self, why: str) -> None:
        parts = self._parts
        bound = self.outgoing.bound[Unit.MICROUSD]
        message_id = self._meter.metered().message_id if self._meter else ""
        spend = self._spend(self.outgoing.model, Usage(), bound, message_id)
        await self._stored(
            lambda: parts.ledger.charge_unknown(self.call.request_id),
            lambda: parts.book.save_spend(spend),
        )
        log.warning("charged its estimate", request=self.call.request_id, because=why)


def _failure(sending: asyncio.Future[UpstreamReply] | None) -> ModelError | None:
    """What it failed with, as far as it has come to its end."""
    if sending is None or not sending.done() or sending.cancelled():
        return None
    error = sending.exception()
    return error if isinstance(error, ModelError) else None
