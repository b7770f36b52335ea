"""How much a call may take: the safe bound at once, sharper ones when room is short.

Every bound is hard. What is sent has the `max_tokens` that is held, and the input is bounded by its
bytes or counted by the provider; only how much output to ask for is learned, and so may be too low.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from helios.domain.budget.estimate import call_bound, counted_bound, input_bound
from helios.domain.budget.output_bound import NEWEST, learned_bound
from helios.domain.budget.units import Amounts
from helios.domain.pricing import Catalogue
from helios.errors import ModelError
from helios.ports.budget import BudgetBook
from helios.ports.models import ModelRequest

Count = Callable[[ModelRequest], Awaitable[int | None]]
"""Counts a request's input tokens; None when that is not possible."""


async def nobody_counts(_: ModelRequest) -> int | None:
    """For bounds of calls that are not made."""
    return None


log = structlog.get_logger("helios.agent")


@dataclass(frozen=True, slots=True)
class Sized:
    """A request as it would be sent, and the most it can take.

    `lowered` says that it asks for fewer output tokens than the caller did.
    """

    request: ModelRequest
    bound: Amounts
    lowered: bool = False


class Estimates:
    """Bounds calls by prices, counts and what was learned from earlier replies.

    Args:
        catalogue: the prices.
        book: how long earlier replies were.
        count: asks the provider.
        simulated: whether simulated replies teach, or the others.
        lower_output: the policy: whether less output may be asked for than the caller does.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        book: BudgetBook,
        *,
        count: Count,
        simulated: bool,
        lower_output: bool,
    ) -> None:
        self._catalogue = catalogue
        self._book = book
        self._count = count
        self._simulated = simulated
        self._lower_output = lower_output

    def whole(self, request: ModelRequest) -> Sized:
        """By bytes and the whole of `max_tokens`; asks nobody.

        Raises:
            UnknownPrice: the model's price is not known.
        """
        return self._sized(request, input_bound(request.text_bytes))

    async def smaller(
        self, request: ModelRequest, agent: str, *, read: int | None, may_lower: bool
    ) -> tuple[Sized, ...]:
        """Sharper bounds, the largest first; none when nothing sharper is known.

        Args:
            request: what the caller asks.
            agent: who asks; "" is nobody that anything was learned of.
            read: the most input tokens it has, from `counted`.
            may_lower: whether output may be lowered this time, where the policy allows it at all.
        """
        by_bytes = input_bound(request.text_bytes)
        read = by_bytes if read is None else read
        sizes = [self._sized(request, read)] if read < by_bytes else []
        lowered = await self.lowered(request, agent) if may_lower else None
        if lowered:
            sizes.append(self._sized(lowered, read, lowered=True))
        return tuple(sizes)

    async def least(
        self, request: ModelRequest, agent: str, *, read: int, may_lower: bool
    ) -> Sized:
        """The smallest bound when at least `read` input tokens are held, without asking anybody."""
        lowered = await self.lowered(request, agent) if may_lower else None
        return self._sized(lowered or request, read, lowered=lowered is not None)

    async def lowered(self, request: ModelRequest, agent: str) -> ModelRequest | None:
        """The request with as much output as this agent needs on this model, by what is learned.

        None when the policy forbids it, too little is known, or it asks for no more than that.
        """
        if not (self._lower_output and agent):
            return None
        lengths = await self._book.output_lengths(
            agent, request.model, NEWEST, simulated=self._simulated
        )
        tokens = learned_bound(lengths, asked=request.max_tokens)
        return replace(request, max_tokens=tokens) if tokens else None

    async def counted(self, request: ModelRequest) -> int | None:
        """The most input tokens a request has, by the provider's count if there is one; None when
        it could not be asked this time.
        """
        by_bytes = input_bound(request.text_bytes)
        try:
            counted = await self._count(request)
        except ModelError as error:
            log.warning("input not counted", model=request.model, error=error.message)
            return None
        return by_bytes if counted is None else min(by_bytes, counted_bound(counted))

    def _sized(self, request: ModelRequest, read: int, *, lowered: bool = False) -> Sized:
        model = self._catalogue.model(request.model)
        bound = call_bound(model, input_tokens=read, max_output_tokens=request.max_tokens)
        return Sized(request, bound, lowered)
