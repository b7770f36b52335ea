"""A cheaper model for a client's request: as advice in a header, or enforced."""

import math

from helios.domain.gateway.key import Policy
from helios.domain.gateway.rewrite import with_model, without_thinking
from helios.domain.pricing import Catalogue, Model, Tier
from helios.domain.routing.choice import RoutingInput, choose
from helios.domain.routing.complexity import complexity
from helios.domain.routing.expectation import mean_usage
from helios.domain.routing.learning import Learned, learn
from helios.ports.clock import Clock
from helios.ports.runs import RunStore
from helios.services.governor import BudgetStatus, Governor
from helios.services.responses.inbound import Inbound, Outgoing
from helios.services.responses.sizing import Sizing

LESSONS_LAST_S = 60.0
TASK_TYPE = "coding"
"""What a client's work is taken for: it does not say."""


class Advisor:
    """Chooses by the same rules as the router of projects, among what the upstream can serve, and
    never a dearer model than asked.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        governor: Governor,
        runs: RunStore,
        clock: Clock,
        *,
        simulated: bool,
    ) -> None:
        self._clock = clock
        self._learned = Learned()
        self._learned_at = -math.inf
        self._catalogue = catalogue.unprefixed()
        self._governor = governor
        self._runs = runs
        self._simulated = simulated

    async def outgoing(self, call: Inbound, model: Model, sizing: Sizing) -> Outgoing:
        """What to send for a key that is advised or steered."""
        status = await self._governor.status(self._governor.ceilings.of_account(call.account))
        better, reason = await self._choice(call, model, status)
        if better is None:
            return await sizing.whole(model, call.body)
        if call.policy is Policy.ENFORCE:
            return await self.switched(call, better, reason, sizing)
        whole = await sizing.whole(model, call.body)
        return whole.with_note(b"x-helios-advice", f"{better.name}; {reason}")

    async def switched(self, call: Inbound, model: Model, reason: str, sizing: Sizing) -> Outgoing:
        """The request for another model, without the blocks that only the first can read."""
        thinks = model.tier is not Tier.ECONOMY
        body = without_thinking(call.body, takes_thinking=thinks, takes_effort=thinks)
        body = with_model(body, model.name)
        whole = await sizing.whole(model, body)
        return whole.with_note(b"x-helios-model", f"{model.name}; {reason}")

    async def _choice(
        self, call: Inbound, model: Model, status: BudgetStatus
    ) -> tuple[Model | None, str]:
        if not self._catalogue.models:
            return None, ""
        asked = call.asked
        learned = await self._lessons()
        hard = complexity(
            task_type=TASK_TYPE, text=asked.text_of_last_user, size_bytes=len(call.body), needs=0
        )
        wish = RoutingInput(
            task_type=TASK_TYPE,
            complexity=hard,
            priority=call.priority,
            used=status.used,
            zone=status.zone,
            strong_share_used=status.strong_share_used,
            expected=mean_usage(len(call.body), asked.max_tokens),
        )
        choice = choose(wish, self._catalogue, learned)
        chosen = self._catalogue.model(choice.model)
        cheaper = choice.tier.rank < model.tier.rank and call.key.allows(chosen.name)
        return (chosen, choice.reason.removeprefix(f"{chosen.name}: ")) if cheaper else (None, "")

    async def _lessons(self) -> Learned:
        now = self._clock.monotonic()
        if now - self._learned_at >= LESSONS_LAST_S:
            self._learned_at = now
            self._learned = learn(await self._runs.outcomes(simulated=self._simulated))
        return self._learned
