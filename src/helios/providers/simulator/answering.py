"""What happens to a request between the door and the bill."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from helios.domain.usage import Usage
from helios.ports.clock import Clock
from helios.providers.simulator.caching import CachePlan, PromptCache
from helios.providers.simulator.content import Answer, cut, without_prefix
from helios.providers.simulator.faults import REFUSALS, Fault, FaultPlan, Refusal, fault_named
from helios.providers.simulator.latency import Delay, Latency, delay_of
from helios.providers.simulator.making import Maker
from helios.providers.simulator.meter import Billed, Meter
from helios.providers.simulator.replies import Reply
from helios.providers.simulator.requests import ApiError, Asked
from helios.providers.simulator.script import Script
from helios.providers.simulator.windows import Limit, Limits

NO_ANSWER = (
    "simulated: no recorded answer for this request; "
    "configure a provider key (ANTHROPIC_API_KEY) to ask a real model"
)

LONGEST_PROMPT = 1_000_000
"""Tokens; the largest window of any model."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a simulator answers with, and how."""

    script: Script
    meter: Meter
    clock: Clock
    time_scale: float = 1.0
    faults: FaultPlan = field(default_factory=FaultPlan)
    models: tuple[str, ...] = ()
    maker: Maker = field(default_factory=Maker)
    latency: Latency | None = None
    limits: tuple[Limit, ...] = ()
    overage: bool = False
    fault_header: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and by which request: `labels` are for the meter, `fault` is what was asked for."""

    request_id: str
    organisation: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """An accepted request with the answer it will get."""

    caller: Caller
    reply: Reply
    delay: Delay
    fault: Fault | None
    plan: CachePlan


class Answering:
    """Accepts or refuses requests and bills answers; knows nothing of HTTP."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.limits = Limits(setup.limits, overage=setup.overage)
        self._cache = PromptCache()
        self._seen: Counter[str] = Counter()

    def accept(self, asked: Asked, digest: str, caller: Caller, *, body_bytes: int) -> Work:
        """What the request will be answered.

        Args:
            asked: the request.
            digest: the hexadecimal hash of its body.
            caller: who asks.
            body_bytes: how long the body is.

        Raises:
            ApiError: it is refused and costs nothing.
        """
        now, model = self.setup.clock.now(), asked.conversation.model
        answer, fault = self._choose(asked, digest, caller)
        refusal = REFUSALS.get(fault) if fault else None
        refusal = refusal or self.limits.admit(caller.organisation, model, now)
        if refusal:
            raise _refused(refusal)
        given = cut(answer, asked.max_tokens)
        if asked.input_tokens > LONGEST_PROMPT:
            raise ApiError(
                400,
                "invalid_request_error",
                f"prompt is too long: {asked.input_tokens} tokens > {LONGEST_PROMPT} maximum",
            )
        plan = CachePlan(Usage(asked.input_tokens))
        if asked.prompt:
            plan = self._cache.look(caller.organisation, model, asked.prompt, now)
        usage = replace(plan.usage, output_tokens=max(1, given.tokens))
        if fault is Fault.ABOVE_ESTIMATE:
            # More than any bound can allow for: a token a byte, and the maximum of the output.
            usage = Usage(2 * body_bytes + 1000, 2 * asked.max_tokens)
        message_id = caller.request_id.replace("req_", "msg_", 1)
        shows = asked.shows_usage and fault is not Fault.MISSING_USAGE
        reply = Reply(message_id, model, given, usage, int(now), shows)
        setup = self.setup
        delay = delay_of(
            model,
            usage.output_tokens,
            digest,
            setup.time_scale,
            latency=setup.latency,
            seed=setup.seed,
        )
        return Work(caller, reply, delay, fault, plan)

    def begin(self, work: Work) -> None:
        """The answer begins: what it wrote into the prompt cache is there."""
        if work.plan.keep:
            self._cache.keep(work.plan, self.setup.clock.now())

    def bill(self, work: Work, sent: int | None = None) -> None:
        """Bill an answer, once.

        Args:
            work: the answer; its input is billed in full.
            sent: the output tokens that were sent of it; None is all.

        Raises:
            ApiError: the meter cannot be written.
        """
        usage = work.reply.usage
        usage = usage if sent is None else replace(usage, output_tokens=sent)
        caller, now = work.caller, self.setup.clock.now()
        billed = Billed(
            caller.request_id,
            work.reply.id,
            work.reply.model,
            usage,
            now,
            caller.labels,
            work.fault,
            sent is None,
        )
        try:
            self.setup.meter.record(billed)
        except OSError as error:
            raise ApiError(
                500, "api_error", f"simulated: the meter cannot be written: {error}"
            ) from error
        self.limits.spend(caller.organisation, work.reply.model, usage, now)

    def _choose(self, asked: Asked, digest: str, caller: Caller) -> tuple[Answer, Fault | None]:
        found = self.setup.script.find(asked.conversation)
        answer, fault = found or (None, None)
        if answer is None:
            last, forced = asked.conversation.last, asked.forced
            answer = self.setup.maker.make(last, digest, forced, asked.schema)
        elif asked.schema is not None:
            answer = without_prefix(answer)
        if answer is None:
            raise ApiError(400, "invalid_request_error", NO_ANSWER)
        if caller.fault and self.setup.fault_header:
            return answer, self._named(caller.fault)
        if fault is None and self.setup.faults.rates:
            self._seen[digest] += 1
            fault = self.setup.faults.draw(digest, self._seen[digest])
        return answer, fault

    def _named(self, name: str) -> Fault:
        fault = fault_named(name)
        if fault is None:
            known = ", ".join(Fault)
            raise ApiError(
                400, "invalid_request_error", f"x-helios-fault: unknown fault {name!r}; {known}"
            )
        return fault


def _refused(refusal: Refusal) -> ApiError:
    return ApiError(refusal.status, refusal.kind, refusal.message, refusal.headers)
