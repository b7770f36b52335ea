"""Budget for calls that others make: asked for before, reported after.

What is allocated counts as sent at once, because Helios does not see when the call goes out: a
caller that never reports is charged its estimate, and one that did not call must say so.
"""

from dataclasses import dataclass

from helios.domain.budget.estimate import call_actual, call_bound
from helios.domain.budget.ledger import Admission, Entry, EntryState, Request
from helios.domain.budget.spend import Spend
from helios.domain.budget.units import Unit
from helios.domain.budget.window import NEVER
from helios.domain.budget.zones import Zone
from helios.domain.pricing import Catalogue, Model, Tier
from helios.domain.usage import Usage
from helios.errors import ReservationLost
from helios.ports.budget import BudgetBook
from helios.ports.clock import Clock
from helios.ports.ledger import Ledger
from helios.services.governor import Governor

ASSUMED_INPUT_TOKENS = 20_000
ASSUMED_OUTPUT_TOKENS = 4_000
"""A message's size where the caller does not tell: what is taken as its bound."""


FAMILIES = frozenset({"haiku", "sonnet", "opus", "fable"})


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller wants to do. Tokens are upper bounds for each message.

    `preferred_model` is a model's name, a part of it ("opus") or a tier; `for_person` lets a
    request use the part of the windows that is kept for people.
    """

    request_id: str
    priority: int = 5
    messages: int = 1
    preferred_model: str = ""
    requires_strong: bool = False
    input_tokens: int = ASSUMED_INPUT_TOKENS
    output_tokens: int = ASSUMED_OUTPUT_TOKENS
    account: str = ""
    for_person: bool = False
    lease_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Allocation:
    """The answer: which model, until when, and why, or why not. `resets_at` as in `Admission`."""

    allocated: bool
    request_id: str
    model: str | None
    zone: Zone
    reason: str
    binding: str = ""
    resets_at: float | None = None
    queued: bool = False
    fence: int = 0
    lease_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """What a call took. Its request id is that of its allocation, or a new one.

    `at` is when (UTC seconds); None means now.
    """

    request_id: str
    model: str
    usage: Usage
    messages: int = 1
    account: str = ""
    project: str = ""
    task: str = ""
    agent: str = ""
    at: float | None = None


class Allocator:
    """Grants, and books what became of it."""

    def __init__(
        self,
        *,
        governor: Governor,
        ledger: Ledger,
        book: BudgetBook,
        catalogue: Catalogue,
        clock: Clock,
        simulated: bool,
    ) -> None:
        self._governor = governor
        self._ledger = ledger
        self._book = book
        self._catalogue = catalogue
        self._clock = clock
        self._simulated = simulated

    async def request(self, wish: Wish, *, wait_s: float = 0.0) -> Allocation:
        """Reserve on the model wished for, or on the best cheaper one that the zone lets pass.

        Raises:
            UnknownPrice: no model has such a name.
        """
        await self._governor.refresh()
        limits = self._governor.ceilings.of_account(wish.account, for_person=wish.for_person)
        status = await self._governor.status(limits)
        first, *cheaper = self._candidates(wish, status.zone)
        refusal = await self._governor.reserve(_request(wish, first), limits, wait_s=wait_s)
        if refusal.granted:
            return await self._granted(refusal, first)
        for model in cheaper:
            answer = await self._governor.reserve(_request(wish, model), limits)
            if answer.granted:
                instead = f"{model.name} instead of {first.name} ({refusal.reason})"
                return await self._granted(answer, model, instead)
        resets_at = refusal.resets_at if refusal.resets_at != NEVER else None
        return Allocation(
            allocated=False,
            request_id=wish.request_id,
            model=None,
            zone=refusal.zone,
            reason=refusal.reason,
            binding=refusal.binding,
            resets_at=resets_at,
            queued=refusal.waits or resets_at is not None,
        )

    async def release(self, request_id: str, fence: int) -> Entry:
        """Give back what was not used: the caller says that nothing was sent.

        Raises:
            ReservationLost: the reservation is another's, or has ended otherwise.
        """
        return await self._ledger.release(request_id, fence, unbilled=True)

    async def record(self, report: Report) -> Spend:
        """Book what a call took, on its allocation if there is one; a repeat changes nothing.

        Usage that was never asked for is booked in full: beyond the room it counts as a breach.

        Raises:
            UnknownPrice: the model has no price.
            ReservationLost: its window has closed, and its books stand.
        """
        model = self._exact(report.model)
        actual = {**call_actual(model, report.usage), Unit.MESSAGES: report.messages}
        entry = await self._ledger.entry(report.request_id)
        if entry is None:
            limits = self._governor.ceilings.of_account(report.account)
            request = Request(report.request_id, model.tier, actual)
            await self._governor.record(request, limits)
        else:
            await self._governor.settle(report.request_id, entry.fence, actual)
        spend = Spend(
            request_id=report.request_id,
            at=self._clock.now() if report.at is None else report.at,
            model=model.name,
            tier=str(model.tier),
            usage=report.usage,
            cost_microusd=model.cost_microusd(report.usage),
            simulated=self._simulated,
            source="api",
            messages=report.messages,
            account=report.account,
            project=report.project,
            task=report.task,
            agent=report.agent,
        )
        await self._book.save_spend(spend)
        return spend

    def _candidates(self, wish: Wish, zone: Zone) -> list[Model]:
        """The wished model first, then cheaper ones; in a fuller window the strongest not at all,
        unless it is required.
        """
        ladder = self._catalogue.ladder()
        if wish.requires_strong:
            return [model for model in ladder if model.tier.rank >= Tier.STRONG.rank][:1]
        wished = self._named(wish.preferred_model) if wish.preferred_model else None
        top = wished or self._catalogue.of_tier(Tier.STANDARD) or ladder[-1]
        if zone is not Zone.NORMAL:
            top = min(top, self._cheaper_than_strong(), key=lambda model: model.tier.rank)
        below = [model for model in reversed(ladder) if model.tier.rank < top.tier.rank]
        return [top, *below]

    def _cheaper_than_strong(self) -> Model:
        ladder = self._catalogue.ladder()
        below = [model for model in ladder if model.tier.rank < Tier.STRONG.rank]
        return below[-1] if below else ladder[0]

    def _named(self, name: str) -> Model:
        """A model by its name, a tier, or the family of one that stands for a tier ("opus")."""
        for model in self._catalogue.ladder():
            if name.lower() in FAMILIES and name.lower() in model.name.split("-"):
                return model
        return self._exact(name)

    def _exact(self, name: str) -> Model:
        """A model by its name or a tier, and nothing that only looks like one."""
        of_tier = self._catalogue.of_tier(Tier(name)) if name in set(Tier) else None
        return of_tier or self._catalogue.model(name)

    async def _granted(self, admission: Admission, model: Model, instead: str = "") -> Allocation:
        entry = admission.entry
        if entry is None:
            raise ReservationLost("a request was admitted without an entry")
        if entry.tier is not model.tier:
            # Asked for before, and granted on another model then.
            model = self._catalogue.of_tier(entry.tier) or model
        sent = entry
        if entry.state is EntryState.HELD:
            sent = await self._ledger.mark_sent(entry.request_id, entry.fence)
        reason = f"{instead}; {admission.reason}" if instead else admission.reason
        return Allocation(
            allocated=True,
            request_id=entry.request_id,
            model=model.name,
            zone=admission.zone,
            reason=reason,
            fence=sent.fence,
            lease_until=sent.lease_until,
        )


def _request(wish: Wish, model: Model) -> Request:
    one = call_bound(
        model,
        input_tokens=wish.input_tokens,
        max_output_tokens=wish.output_tokens,
        hour_cache=True,
    )
    return Request(
        request_id=wish.request_id,
        tier=model.tier,
        estimate={unit: amount * wish.messages for unit, amount in one.items()},
        priority=wish.priority,
        lease_s=wish.lease_s,
    )
