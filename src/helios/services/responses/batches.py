"""Message batches: the whole batch is held before it is sent, and settled when it has ended.

The provider answers within a day and bills half the price of each request that succeeded.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, replace
from typing import Any

import structlog

from helios.domain.budget.account import ROOT, lineage
from helios.domain.budget.ledger import Admission, Request
from helios.domain.budget.spend import Spend
from helios.domain.budget.units import Amounts, Unit
from helios.domain.gateway.bound import raw_bound
from helios.domain.gateway.key import GatewayKey, problem_with_model
from helios.domain.gateway.refusal import Refusal, no_room, not_allowed
from helios.domain.gateway.request import parse_body, read_request
from helios.domain.gateway.usage import read_usage
from helios.domain.pricing import Model
from helios.domain.usage import Usage
from helios.errors import ModelError, RequestRefused
from helios.ports.keys import KeyBook, OpenBatch
from helios.ports.upstream import Headers, UpstreamRequest
from helios.services.responses.batch_pages import read_page
from helios.services.responses.gateway_parts import GatewayParts

PATH = "/v1/messages/batches"
LEASE_S = 26 * 3600.0
"""The provider ends a batch after 24 hours."""
MOST_REQUESTS = 100_000
THREAD_FROM_BYTES = 256 * 1024
"""Reading a larger body takes milliseconds in which others want to be answered."""
MOST_PAGES = 20
"""Of the provider's list, read for one of a key's; each has 1,000 batches but the first."""
HEADERS: Headers = ((b"anthropic-version", b"2023-06-01"),)
log = structlog.get_logger("helios.gateway")


@dataclass(frozen=True, slots=True)
class BatchInbound:
    """A batch as it came in, and on whose account."""

    request_id: str
    target: str
    headers: Headers
    body: bytes
    key: GatewayKey
    account: str
    project: str
    priority: int = 5


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole answer of the upstream."""

    status: int
    headers: Headers
    body: bytes


class Batches:
    """Sends batches under a reservation, tells whose they are, and settles them."""

    def __init__(self, parts: GatewayParts, keys: KeyBook) -> None:
        self._parts = parts
        self._keys = keys

    async def create(self, call: BatchInbound) -> Answered | Refusal:
        """Reserve for the whole batch, send it, and remember it.

        Raises:
            RequestRefused: it is not a batch, or nothing bounds one of its requests.
            UnknownPrice: one of its models has no price.
            ModelError: there was no answer; the books are closed.
        """
        if len(call.body) > THREAD_FROM_BYTES:
            wish = await asyncio.to_thread(self._wish, call)
        else:
            wish = self._wish(call)
        if isinstance(wish, Refusal):
            return wish
        governor, ledger = self._parts.governor, self._parts.ledger
        await governor.refresh()
        answer = await governor.reserve(wish, governor.ceilings.of_account(call.account))
        if answer.entry is None:
            return self._refused(answer)
        fence = answer.entry.fence
        try:
            reply = await self.ask("POST", call.target, call.headers, call.body)
        except ModelError as error:
            if error.billed == "no":
                await ledger.release(call.request_id, fence, unbilled=True)
            raise
        if reply.status != 200:
            await ledger.release(call.request_id, fence, unbilled=True)
            return reply
        await self._keys.note_batch(
            OpenBatch(
                request_id=call.request_id,
                upstream_id=str(_field(reply.body, "id")),
                owner=call.key.account,
                account=call.account,
                project=call.project,
                simulated=self._parts.upstream.simulated,
                created_at=self._parts.clock.now(),
            )
        )
        return reply

    async def sees(self, account: str, upstream_id: str) -> bool:
        """Whether a key of that account sees a batch: its account's, or one of an account below.

        Keys of the root see all, also what was not made here; nobody else sees one without a name.

        Raises:
            StoreError: the store cannot be asked.
        """
        if account == ROOT or not upstream_id:
            return account == ROOT
        return upstream_id in await self._own(account, (upstream_id,))

    async def listed(self, account: str, target: str, headers: Headers) -> Answered:
        """A page of the provider's list, without what a key of that account does not see.

        Raises:
            ModelError: there was no answer, or it is no such page.
            StoreError: the store cannot be asked.
        """
        first = answer = await self.ask("GET", target, headers)
        if account == ROOT or first.status != 200:
            return first
        page = await asyncio.to_thread(read_page, target, first.body)
        most, own = len(page.ids), await self._own(account, page.ids)
        for _ in range(MOST_PAGES - 1):
            if own or not page.next_target:
                break
            answer = await self.ask("GET", page.next_target, headers)
            if answer.status != 200:
                return answer
            page = await asyncio.to_thread(read_page, page.next_target, answer.body)
            own = await self._own(account, page.ids)
        return replace(answer, body=page.shown(own, most))

    async def settle_ended(self, upstream_id: str = "") -> int:
        """Settle the batches that have ended, or one of them; how many there were."""
        settled = 0
        for batch in await self._keys.open_batches(simulated=self._parts.upstream.simulated):
            if upstream_id in ("", batch.upstream_id):
                settled += await self._settled(batch)
        return settled

    async def _settled(self, batch: OpenBatch) -> bool:
        """Settle one if it has ended; one that cannot be settled now keeps no other waiting."""
        try:
            return await self._settle(batch)
        except ModelError as error:
            log.warning("batch not settled", batch=batch.upstream_id, error=error.message)
            return False

    async def ask(self, method: str, target: str, headers: Headers, body: bytes = b"") -> Answered:
        """One request and its whole answer.

        Raises:
            ModelError: there was none.
        """
        reply = await self._parts.upstream.send(UpstreamRequest(method, target, headers, body))
        try:
            parts = [chunk async for chunk in reply.chunks()]
        finally:
            await reply.close()
        return Answered(reply.status, reply.headers, b"".join(parts))

    async def _own(self, account: str, upstream_ids: Collection[str]) -> set[str]:
        """Those of an account, or of one below."""
        simulated = self._parts.upstream.simulated
        owners = await self._keys.batch_owners(upstream_ids, simulated=simulated)
        return {name for name, owner in owners.items() if account in lineage(owner)}

    def _refused(self, answer: Admission) -> Refusal:
        return no_room(answer, self._parts.clock.now())

    def _wish(self, call: BatchInbound) -> Request | Refusal:
        total: dict[Unit, int] = {}
        models: list[Model] = []
        for number, params in enumerate(_params(call.body)):
            body = json.dumps(params, ensure_ascii=False).encode("utf-8", "surrogatepass")
            asked = read_request(body)
            if asked.needs_count or asked.unpriced:
                why = asked.unpriced or ", ".join(asked.unbounded)
                raise RequestRefused(
                    f"requests[{number}]: cannot be bounded in a batch ({why})",
                    billed="no",
                    next_step="Send it as a request of its own, or leave that out.",
                )
            if problem := problem_with_model(call.key, asked.model):
                return not_allowed(problem.message)
            model = self._parts.catalogue.model(asked.model)
            models.append(model)
            fallbacks = [self._parts.catalogue.model(name) for name, _ in asked.fallbacks]
            bound = raw_bound(asked, len(body), model, fallbacks=fallbacks)
            for unit, amount in bound.items():
                total[unit] = total.get(unit, 0) + amount
        return Request(
            request_id=call.request_id,
            tier=max(models, key=lambda model: model.tier.rank).tier,
            estimate=_at_batch_price(total),
            priority=call.priority,
            lease_s=LEASE_S,
            sends=True,
        )

    async def _settle(self, batch: OpenBatch) -> bool:
        where = f"{PATH}/{batch.upstream_id}"
        status = await self.ask("GET", where, HEADERS)
        if status.status == 404:
            await self._keys.close_batch(batch.request_id, self._parts.clock.now())
            log.warning("batch is gone; it is charged its estimate", batch=batch.upstream_id)
            return False
        if status.status != 200 or _field(status.body, "processing_status") != "ended":
            return False
        by_model: dict[str, tuple[int, Usage, int]] = {}
        async for name, usage in self._results(f"{where}/results"):
            messages, total, cost = by_model.get(name, (0, Usage(), 0))
            half = -(-self._parts.catalogue.model(name).cost_microusd(usage) // 2)
            by_model[name] = (messages + 1, total + usage, cost + half)
        await self._book(batch, by_model)
        await self._keys.close_batch(batch.request_id, self._parts.clock.now())
        return True

    async def _results(self, target: str) -> AsyncIterator[tuple[str, Usage]]:
        """Model and usage of each request that succeeded.

        Raises:
            ModelError: the results cannot be had, or one cannot be read.
        """
        answer = await self.ask("GET", target, HEADERS)
        if answer.status != 200:
            raise ModelError(f"{target}: status {answer.status}", billed="unknown")
        for line in answer.body.splitlines():
            result = json.loads(line).get("result", {}) if line.strip() else {}
            if result.get("type") != "succeeded":
                continue
            message = result.get("message", {})
            counted = read_usage(message.get("usage"))
            if counted is None:
                raise ModelError(f"{target}: a result has no usage", billed="unknown")
            yield str(message.get("model", "")), counted.usage

    async def _book(self, batch: OpenBatch, by_model: dict[str, tuple[int, Usage, int]]) -> None:
        parts = self._parts
        actual: dict[Unit, int] = {Unit.MESSAGES: 0, Unit.TOKENS: 0, Unit.MICROUSD: 0}
        for name, (messages, usage, cost) in by_model.items():
            actual[Unit.MESSAGES] += messages
            actual[Unit.TOKENS] += usage.total_tokens
            actual[Unit.MICROUSD] += cost
            spend = Spend(
                request_id=f"{batch.request_id}/{name}",
                at=parts.clock.now(),
                model=name,
                tier=str(parts.catalogue.model(name).tier),
                usage=usage,
                cost_microusd=cost,
                simulated=batch.simulated,
                source="gateway",
                messages=messages,
                account=batch.account,
                project=batch.project,
                asked=name,
            )
            await parts.book.save_spend(spend)
        entry = await parts.ledger.entry(batch.request_id)
        if entry:
            await parts.governor.settle(batch.request_id, entry.fence, actual)


def _at_batch_price(amounts: Amounts) -> Amounts:
    return {
        unit: -(-amount // 2) if unit is Unit.MICROUSD else amount
        for unit, amount in amounts.items()
    }


def _params(body: bytes) -> list[dict[str, Any]]:
    """What each request of a batch asks.

    Raises:
        RequestRefused: it is not a batch.
    """
    try:
        requests = parse_body(body)["requests"]
        params = [dict(request["params"]) for request in requests]
    except (ValueError, TypeError, KeyError) as error:
        raise RequestRefused(
            "the body is not a batch: it needs `requests`, each with `custom_id` and `params`",
            billed="no",
        ) from error
    if not 0 < len(params) <= MOST_REQUESTS:
        raise RequestRefused(f"a batch has 1 to {MOST_REQUESTS:,} requests", billed="no")
    return params


def _field(body: bytes, name: str) -> object:
    try:
        return json.loads(body).get(name, "")
    except (ValueError, AttributeError):
        return ""
