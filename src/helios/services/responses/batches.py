"""Message batches: the whole batch is held before it is sent, and settled when it has ended.

The provider answers within a day and bills half the price of each request that succeeded.
"""

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from helios.domain.budget.account import ROOT, lineage
from helios.domain.budget.ledger import Admission, Request
from helios.domain.budget.units import Amounts, Unit
from helios.domain.gateway.bound import SEARCH_FEE_MICROUSD, asks_for_larger_window, raw_bound
from helios.domain.gateway.key import GatewayKey, problem_with_model
from helios.domain.gateway.refusal import Refusal, no_room, not_allowed
from helios.domain.gateway.request import parse_body, read_request
from helios.domain.pricing import Model
from helios.errors import RequestRefused
from helios.ports.keys import KeyBook, OpenBatch
from helios.ports.upstream import Headers, UpstreamRequest
from helios.services.responses.batch_making import BatchMaking
from helios.services.responses.batch_pages import read_page
from helios.services.responses.batch_settling import LEASE_S, PATH, BatchSettling
from helios.services.responses.gateway_parts import GatewayParts
from helios.services.responses.whole_answer import Answered, read_whole

__all__ = ["PATH", "Answered", "BatchInbound", "BatchMaking", "Batches"]

MOST_REQUESTS = 100_000
THREAD_FROM_BYTES = 256 * 1024
"""Reading a larger body takes milliseconds in which others want to be answered."""
MOST_PAGES = 20
"""Of the provider's list, read for one of a key's; each has 1,000 batches but the first."""


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


class Batches:
    """Admits batches under a reservation, tells whose they are, and settles them."""

    def __init__(self, parts: GatewayParts, keys: KeyBook) -> None:
        self._parts = parts
        self._keys = keys
        self._settling = BatchSettling(parts, keys)

    async def admit(self, call: BatchInbound) -> BatchMaking | Refusal:
        """Reserve for the whole batch, or tell why there is no room.

        Raises:
            RequestRefused: it is not a batch, or nothing bounds one of its requests.
            UnknownPrice: one of its models has no price.
            StoreError: the books cannot be reached.
        """
        if len(call.body) > THREAD_FROM_BYTES:
            wish = await asyncio.to_thread(self._wish, call)
        else:
            wish = self._wish(call)
        if isinstance(wish, Refusal):
            return wish
        governor = self._parts.governor
        await governor.refresh()
        answer = await governor.reserve(wish, governor.ceilings.of_account(call.account))
        if answer.entry is None:
            return self._refused(answer)
        return BatchMaking(
            self._parts,
            self._settling,
            self._keys,
            batch=self._batch(call),
            fence=answer.entry.fence,
            held=wish.estimate,
        )

    def _batch(self, call: BatchInbound) -> OpenBatch:
        return OpenBatch(
            request_id=call.request_id,
            upstream_id="",
            owner=call.key.account,
            account=call.account,
            project=call.project,
            simulated=self._parts.upstream.simulated,
            created_at=self._parts.clock.now(),
        )

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
        """Settle the batches that have ended, or one of them at once; how many there were.

        Raises:
            StoreError: the store cannot be used. Nothing about one batch is raised.
        """
        return await self._settling.settle_ended(upstream_id)

    async def unsettled(self, upstream_id: str) -> str:
        """Settle a batch if it has ended; why that failed, "" where its results may be deleted.

        Raises:
            StoreError: the store cannot be used.
        """
        return await self._settling.unsettled(upstream_id)

    async def ask(self, method: str, target: str, headers: Headers, body: bytes = b"") -> Answered:
        """One request and its whole answer.

        Raises:
            ModelError: there was none.
        """
        request = UpstreamRequest(method, target, headers, body, lane=PATH)
        return await read_whole(await self._parts.upstream.send(request))

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
        larger_window = asks_for_larger_window(call.headers)
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
            names = [asked.model, *(name for name, _ in asked.fallbacks)]
            for name in names:
                if problem := problem_with_model(call.key, name):
                    return not_allowed(problem.message)
            model, *fallbacks = [self._parts.catalogue.model(name) for name in names]
            models += [model, *fallbacks]
            bound = raw_bound(
                asked,
                len(body),
                model,
                larger_window=larger_window,
                # Halved with the rest below, although it is the price of tokens alone that is.
                tool_fee_microusd=2 * SEARCH_FEE_MICROUSD,
                fallbacks=fallbacks,
            )
            for unit, amount in _at_batch_price(bound).items():
                total[unit] = total.get(unit, 0) + amount
        return Request(
            request_id=call.request_id,
            tier=max(models, key=lambda model: model.tier.rank).tier,
            estimate=total,
            priority=call.priority,
            lease_s=LEASE_S,
            sends=True,
        )


def _at_batch_price(amounts: Amounts) -> Amounts:
    """Half the money; what settling books for a request is rounded up for each as well."""
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
