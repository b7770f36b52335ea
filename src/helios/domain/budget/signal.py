"""What a provider says of its own windows: how full they are, and when they reset."""

from dataclasses import dataclass
from typing import Literal

Source = Literal["headers", "cli", "statusline", "transcript"]
"""Best first."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One figure from the provider.

    `window` is the provider's name for it (five_hour, seven_day, seven_day_opus, ...), `used` a
    share (0..1, in whole percents; above 1 in paid overage), times are seconds since 1970, UTC.
    """

    window: str
    used: float
    at: float
    source: Source
    resets_at: float | None = None
    status: str = ""
    overage: bool = False

    def age_s(self, now: float) -> float:
        """How old it is."""
        return max(0.0, now - self.at)
