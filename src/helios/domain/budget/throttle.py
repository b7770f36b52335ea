"""A person's brake: stricter than the windows ask for, until a time."""

from dataclasses import dataclass
from typing import Literal

from helios.domain.budget.window import NEVER
from helios.domain.budget.zones import Zone

Level = Literal["throttle", "critical", "paused"]


@dataclass(frozen=True, slots=True)
class Throttle:
    """Treat every window as at least so full, or admit nothing at all, until `until` (UTC)."""

    level: Level
    set_at: float
    until: float = NEVER
    reason: str = ""
    by: str = ""

    def holds(self, now: float) -> bool:
        """Whether it counts at a time; a time before it was set counts as well, so that a clock
        that goes back frees nothing.
        """
        return now < self.until

    @property
    def floor(self) -> Zone:
        """The zone it amounts to at least."""
        return Zone.THROTTLE if self.level == "throttle" else Zone.CRITICAL
