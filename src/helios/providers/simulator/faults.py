"""Faults by name: from the script, or drawn from a seed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What can go wrong. The first three are refused and cost nothing; the others are billed."""

    RATE_LIMITED = "429"
    OVERLOADED = "529"
    SERVER_ERROR = "500"
    CUT = "cut"
    MALFORMED = "malformed"
    MISSING_USAGE = "missing-usage"
    SLOW = "slow"
    ABOVE_ESTIMATE = "usage-above-estimate"


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
        key = f"{self.seed}/{digest}/{sighting}".encode()
        point = int.from_bytes(hashlib.sha256(key).digest()[:8]) / 2**64
        for fault, rate in self.rates.items():
            if point < rate:
                return fault
            point -= rate
        return None
