"""Settling message batches: what one took is booked when it has ended, else its estimate.

A batch that cannot be settled is tried again, ever more seldom, and keeps no other waiting. Where
trying is no use any more, it is charged its estimate.
"""

import re
from dataclasses import dataclass, field

import structlog

from helios.domain.budget.ledger import Entry, EntryState
from helios.domain.budget.spend import Spend
from helios.domain.budget.units import Amounts, Unit
from helios.domain.gateway.bound import SEARCH_FEE_MICROUSD
from helios.domain.gateway.usage import Counted, Rate
from helios.domain.pricing import Model
from helios.domain.usage import Usage
from helios.errors import (
    BadOutput,
    HeliosError,
    ModelError,
    ReservationLost,
    StoreError,
    UnknownPrice,
)
from helios.ports.keys import KeyBook, OpenBatch
from helios.ports.upstream import Headers, UpstreamReply, UpstreamRequest
from helios.services.responses.batch_results import read_results
from helios.services.responses.gateway_parts import GatewayParts
from helios.services.responses.passage import SEARCHES
from helios.services.responses.whole_answer import read_whole

PATH = "/v1/messages/batches"
LEASE_S = 26 * 3600.0
"""The provider ends a batch after 24 hours."""
KEPT_S = 30 * 24 * 3600.0
"""The provider keeps results for 29 days (its page "Batch processing")."""
SILENCE_S = 30.0
"""How long the provider may be silent about one batch, for which the others wait."""
FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 900.0
HEADERS: Headers = ((b"anthropic-version", b"2023-06-01"),)
_DATED = re.compile(r"(.+)-\d{8}")
"""How an answer names the model that was asked for without its date."""
log = structlog.get_logger("helios.gateway")


@dataclass(frozen=True, slots=True)
class _Took:
    """What a model's part of a batch took."""

    messages: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_microusd: int = 0


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why a batch was not settled, and when to try again by the monotonic clock."""

    code: str
    pause_s: float
    again_at: float


class BatchSettling:
    """Books what batches took."""

    def __init__(self, parts: GatewayParts, keys: KeyBook) -> None:
        self._parts = parts
        self._keys = keys
        self._troubles: dict[str, _Trouble] = {}

    async def settle_ended(self, upstream_id: str = "") -> int:
        """Settle the batches that have ended, or one of them at once; how many there were.

        Raises:
            StoreError: the store cannot be used. Nothing about one batch is raised.
        """
        settled, now = 0, self._parts.clock.monotonic()
        for batch in await self._keys.open_batches(simulated=self._parts.upstream.simulated):
            trouble = self._troubles.get(batch.request_id)
            due = trouble is None or now >= trouble.again_at
            if batch.upstream_id == upstream_id or (due and not upstream_id):
                settled += await self._settled(batch)
        return settled

    async def unsettled(self, upstream_id: str) -> str:
        """Settle a batch if it has ended; why that failed, "" where its results may be deleted.

        Raises:
            StoreError: the store cannot be used.
        """
        for batch in await self._keys.open_batches(simulated=self._parts.upstream.simulated):
            if batch.upstream_id == upstream_id:
                await self._settled(batch)
                trouble = self._troubles.get(batch.request_id)
                return trouble.code if trouble else ""
        return ""

    async def charge_estimate(
        self, batch: OpenBatch, because: str, held: Amounts | None = None
    ) -> None:
        """Close the books of a batch of which nobody can know what it took.

        Args:
            batch: its entry in the ledger may be closed already.
            because: for the log.
            held: its estimate; without it, as much of it as the ledger knows.
        """
        parts = self._parts
        entry = await parts.ledger.charge_unknown(batch.request_id)
        if entry.state is EntryState.CHARGED_ESTIMATE:
            charged = await self._charged(batch, entry) if held is None else held
            cost, messages = charged.get(Unit.MICROUSD, 0), charged.get(Unit.MESSAGES, 1)
            took = _Took(messages=messages, cost_microusd=cost)
            # Its models are several, or not known any more.
            await parts.book.save_spend(self._spend(batch, batch.request_id, "", entry.tier, took))
        name = batch.upstream_id or batch.request_id
        log.warning("batch charged its estimate", batch=name, because=because)

    async def _charged(self, batch: OpenBatch, entry: Entry) -> Amounts:
        governor = self._parts.governor
        await governor.refresh()
        units = {limit.key: limit.unit for limit in governor.ceilings.of_account(batch.account)}
        return {
            units[line.limit_key]: line.charged for line in entry.lines if line.limit_key in units
        }

    async def _settled(self, batch: OpenBatch) -> bool:
        try:
            done = await self._settle(batch)
        except StoreError:
            raise
        except HeliosError as error:
            await self._put_off(batch, error)
            return False
        self._troubles.pop(batch.request_id, None)
        return done

    async def _put_off(self, batch: OpenBatch, error: HeliosError) -> None:
        clock, name = self._parts.clock, batch.request_id
        # Its own results will not change; what keeps them from us may.
        hopeless = isinstance(error, UnknownPrice | BadOutput)
        if clock.now() - batch.created_at > (LEASE_S if hopeless else KEPT_S):
            await self._give_up(batch, error.message)
            return
        before = self._troubles.get(name)
        pause_s = min(2 * before.pause_s, LONGEST_PAUSE_S) if before else FIRST_PAUSE_S
        self._troubles[name] = _Trouble(error.code, pause_s, clock.monotonic() + pause_s)
        if before is None or before.code != error.code:
            log.warning("batch not settled yet", batch=batch.upstream_id, error=error.message)

    async def _give_up(self, batch: OpenBatch, because: str) -> None:
        try:
            await self.charge_estimate(batch, because)
        except ReservationLost as error:
            log.warning("batch not settled", batch=batch.upstream_id, error=error.message)
        await self._close(batch)

    async def _settle(self, batch: OpenBatch) -> bool:
        where = f"{PATH}/{batch.upstream_id}"
        told = await read_whole(await self._get(where))
        if told.status == 404:
            await self._give_up(batch, "it is gone")
            return False
        if told.status != 200:
            raise _no_answer(where, told.status)
        if told.text("processing_status") != "ended":
            return False
        await self._book(batch, await self._took(f"{where}/results"))
        await self._close(batch)
        return True

    async def _took(self, where: str) -> dict[Model, _Took]:
        """What each model's part took.

        Raises:
            ModelError: the results cannot be had, or one cannot be read.
            UnknownPrice: one is of a model without a price.
        """
        took: dict[Model, _Took] = {}
        reply = await self._get(where)
        try:
            if reply.status != 200:
                raise _no_answer(where, reply.status)
            async for name, counted in read_results(reply.chunks()):
                model = self._model(name)
                took[model] = _sum(took.get(model, _Took()), self._priced(model, counted))
        finally:
            await reply.close()
        return took

    async def _book(self, batch: OpenBatch, took: dict[Model, _Took]) -> None:
        parts = self._parts
        for model, part in took.items():
            row = f"{batch.request_id}/{model.name}"
            await parts.book.save_spend(self._spend(batch, row, model.name, model.tier, part))
        entry = await parts.ledger.entry(batch.request_id)
        if entry is None:
            return
        actual = {
            Unit.MESSAGES: sum(part.messages for part in took.values()),
            Unit.TOKENS: sum(part.usage.total_tokens for part in took.values()),
            Unit.MICROUSD: sum(part.cost_microusd for part in took.values()),
        }
        try:
            await parts.governor.settle(batch.request_id, entry.fence, actual)
        except ReservationLost as error:
            log.warning("batch settled too late", batch=batch.upstream_id, error=error.message)

    def _model(self, name: str) -> Model:
        catalogue = self._parts.catalogue
        dated = _DATED.fullmatch(name)
        return catalogue.model(dated[1] if dated and name not in catalogue.models else name)

    def _priced(self, model: Model, counted: Counted) -> _Took:
        """What one request took: half of what its tokens cost, and all of what its tools cost.

        Uses of tools cost the same in a batch as elsewhere (provider's page "Web search tool",
        section "Batch requests").

        Raises:
            UnknownPrice: it was made at a speed or in a place whose price is not known.
        """
        if counted.rate is Rate.UNKNOWN:
            raise UnknownPrice(f"{model.name}: answered at a speed or in a place without a price")
        usage, listed = counted.usage, model.cost_microusd(counted.usage)
        if turns := counted.iterations:
            told = sum((took for _, took in turns), Usage())
            usage = max(usage, told, key=lambda all_told: all_told.total_tokens)
            each = (self._model(name or model.name).cost_microusd(took) for name, took in turns)
            listed = max(listed, sum(each))
        half = -(-counted.rate.cost_microusd(listed, listed) // 2)
        fees = SEARCH_FEE_MICROUSD * counted.server_tools.get(SEARCHES, 0)
        return _Took(1, usage, half + fees)

    def _spend(self, batch: OpenBatch, row: str, model: str, tier: str, took: _Took) -> Spend:
        return Spend(
            request_id=row,
            at=self._parts.clock.now(),
            model=model,
            tier=str(tier),
            usage=took.usage,
            cost_microusd=took.cost_microusd,
            simulated=batch.simulated,
            source="gateway",
            messages=took.messages,
            account=batch.account,
            project=batch.project,
            asked=model,
        )

    async def _close(self, batch: OpenBatch) -> None:
        await self._keys.close_batch(batch.request_id, self._parts.clock.now())
        self._troubles.pop(batch.request_id, None)

    async def _get(self, where: str) -> UpstreamReply:
        request = UpstreamRequest("GET", where, HEADERS, timeout_s=SILENCE_S, lane=PATH)
        return await self._parts.upstream.send(request)


def _sum(one: _Took, other: _Took) -> _Took:
    cost = one.cost_microusd + other.cost_microusd
    return _Took(one.messages + other.messages, one.usage + other.usage, cost)


def _no_answer(where: str, status: int) -> ModelError:
    return ModelError(f"{where}: status {status}", billed="unknown")
