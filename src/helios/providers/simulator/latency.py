"""How long an answer takes: steadier and some six times quicker than a model, and repeatable."""

from dataclasses import dataclass

from helios.domain.pricing import Tier
from helios.providers.model_facts import tier_of


@dataclass(frozen=True, slots=True)
class _Speed:
    base_s: float
    tokens_per_s: float


_SPEEDS = {
    Tier.ECONOMY: _Speed(0.28, 1200.0),
    Tier.STANDARD: _Speed(0.32, 900.0),
    Tier.STRONG: _Speed(0.38, 700.0),
    Tier.FRONTIER: _Speed(0.45, 550.0),
}


@dataclass(frozen=True, slots=True)
class Delay:
    """Seconds until the first token, and from there to the last."""

    first_s: float
    rest_s: float

    @property
    def whole_s(self) -> float:
        """Seconds until the whole answer is there."""
        return self.first_s + self.rest_s


def delay_of(model: str, output_tokens: int, digest: str, time_scale: float) -> Delay:
    """The delay of an answer, the same for the same request.

    Args:
        model: decides the speed by its tier.
        output_tokens: how long the answer is.
        digest: the request's hexadecimal hash; spreads the delay by 15 % to either side.
        time_scale: 0 does not wait at all.
    """
    speed = _SPEEDS[tier_of(model) or Tier.STANDARD]
    spread = 0.85 + 0.3 * int(digest[:8], 16) / 0xFFFFFFFF
    scale = time_scale * spread
    return Delay(speed.base_s * scale, output_tokens / speed.tokens_per_s * scale)
