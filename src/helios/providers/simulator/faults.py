"""Faults by name: from the script, from a header, or drawn from a seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from helios.errors import UsageError
from helios.providers.simulator.draws import draw


class Fault(StrEnum):
    """What can go wrong. The first three are refused and cost nothing; the others are billed."""

    RATE_LIMITED = "429"
    OVERLOADED = "529"
    SERVER_ERROR = "500"
    CUT = "cut"
    """The connection breaks in the middle of the answer."""
    STALL = "stall"
    """Half of the answer, then silence until the client leaves."""
    ERROR = "error"
    """Half of the answer, then an `error` event; without a stream the same as SERVER_ERROR."""
    MALFORMED = "malformed"
    MISSING_USAGE = "missing-usage"
    SLOW = "slow"
    ABOVE_ESTIMATE = "usage-above-estimate"


_SHORT = {"above-estimate": Fault.ABOVE_ESTIMATE}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error answer in place of the model's."""

    status: int
    kind: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


REFUSALS: Mapping[Fault, Refusal] = {
    Fault.RATE_LIMITED: Refusal(
        429, "rate_limit_error", "simulated: rate limit reached", {"retry-after": "2"}
    ),
    Fault.OVERLOADED: Refusal(529, "overloaded_error", "simulated: overloaded"),
    Fault.SERVER_ERROR: Refusal(500, "api_error", "simulated: internal server error"),
}

SLOW_S = 90.0
"""How long a slow answer takes; not scaled, so that timeouts can be tried at full speed."""


def fault_named(name: str) -> Fault | None:
    """The fault of this name, written with - or _; None when there is none."""
    plain = name.strip().replace("_", "-")
    return Fault(plain) if plain in set(Fault) else _SHORT.get(plain)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Faults at given rates, drawn from a seed, the request and how often it was seen before, so
    that a repeat of the same run meets the same faults and a second try may succeed.
    """

    rates: Mapping[Fault, float] = field(default_factory=dict[Fault, float])
    seed: int = 0

    def draw(self, digest: str, sighting: int) -> Fault | None:
        """The fault that befalls this sighting of a request, if any."""
        if not self.rates:
            return None
        point = draw(self.seed, digest, sighting)
        for fault, rate in self.rates.items():
            if point < rate:
                return fault
            point -= rate
        return None


def read_rate(text: str) -> tuple[Fault, float]:
    """A fault and its rate, as in `cut=0.1`.

    Raises:
        UsageError: it is something else.
    """
    name, _, share = text.partition("=")
    fault = fault_named(name)
    try:
        rate = float(share)
    except ValueError:
        rate = -1.0
    if fault is None or not 0 <= rate <= 1:
        raise UsageError(
            f"--fault {text}: not a fault and its rate",
            next_step=f"Write it as {Fault.CUT}=0.1; known: {', '.join(Fault)}.",
        )
    return fault, rate
