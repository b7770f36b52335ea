"""Throttling: what may still be spent as a window fills.

    used < 80 %      normal     the router's choice stands
    80 % .. 95 %     throttle   the cheaper model first; the strongest model's requests queue
    above 95 %       critical   priority 8 and higher only

Health is a coarser light for people: green below 60 %, yellow to 80 %, red above. Every
threshold can be set per limit.
"""

from dataclasses import dataclass
from enum import StrEnum

from helios.domain.pricing import Tier


class Zone(StrEnum):
    """How full the fullest window is."""

    NORMAL = "normal"
    THROTTLE = "throttle"
    CRITICAL = "critical"


class Health(StrEnum):
    """The light a person sees."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Shares of a limit (0..1) where behaviour changes."""

    throttle: float = 0.80
    critical: float = 0.95
    critical_priority: int = 8
    yellow: float = 0.60
    red: float = 0.80


@dataclass(frozen=True, slots=True)
class ZoneDecision:
    """Whether a request passes its zone, and in words why."""

    allowed: bool
    zone: Zone
    reason: str


def zone_of(used: float, thresholds: Thresholds) -> Zone:
    """The zone at `used`, a share of the limit (0..1)."""
    if used > thresholds.critical:
        return Zone.CRITICAL
    return Zone.THROTTLE if used >= thresholds.throttle else Zone.NORMAL


def health_of(used: float, thresholds: Thresholds) -> Health:
    """The light at `used`, a share of the limit (0..1)."""
    if used > thresholds.red:
        return Health.RED
    return Health.YELLOW if used >= thresholds.yellow else Health.GREEN


_STRICTNESS = {zone: rank for rank, zone in enumerate(Zone)}


def stricter(one: Zone, other: Zone) -> Zone:
    """The stricter of two zones."""
    return one if _STRICTNESS[one] >= _STRICTNESS[other] else other


def may_pass(
    used: float,
    *,
    priority: int,
    tier: Tier,
    thresholds: Thresholds,
    floor: Zone = Zone.NORMAL,
) -> ZoneDecision:
    """Whether a request of this priority and tier is admitted when `used` of the limit is gone.

    `floor` is the zone a person has set at least, however empty the limit is.
    """
    by_use = zone_of(used, thresholds)
    zone = stricter(by_use, floor)
    share = f"{used:.0%} used" if zone is by_use else f"set to {zone} by hand"
    urgent = priority >= thresholds.critical_priority
    if zone is Zone.CRITICAL and not urgent:
        needed = thresholds.critical_priority
        return ZoneDecision(
            allowed=False,
            zone=zone,
            reason=f"{share}: only priority {needed} and higher, this has {priority}",
        )
    if zone is Zone.THROTTLE and tier.rank >= Tier.STRONG.rank and not urgent:
        return ZoneDecision(
            allowed=False, zone=zone, reason=f"{share}: requests for {tier} models wait"
        )
    return ZoneDecision(allowed=True, zone=zone, reason=f"{share}, zone {zone}")
