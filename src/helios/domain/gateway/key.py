"""A gateway key: who may call through Helios, on which budget, with which models, how often."""

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase


class Policy(StrEnum):
    """What Helios may do with the model a client asks for."""

    OFF = "off"
    """Forward what is asked."""
    ADVISE = "advise"
    """Forward what is asked, and say in a header what would have done."""
    ENFORCE = "enforce"
    """Ask the model that does instead."""


@dataclass(frozen=True, slots=True)
class GatewayKey:
    """One key as it is kept; the secret itself is shown once and never stored.

    `account` is whose budget its calls count against. `models` are names or patterns ("claude-*");
    none means every model with a price. `calls_per_minute` 0 means no limit of its own. Times are
    UTC seconds since 1970.
    """

    name: str
    account: str
    models: tuple[str, ...] = ()
    calls_per_minute: int = 0
    policy: Policy = Policy.OFF
    created_at: float = 0.0
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None

    def live(self, now: float) -> bool:
        """Whether calls may be made with it at that time."""
        expired = self.expires_at is not None and now >= self.expires_at
        return self.revoked_at is None and not expired

    def allows(self, model: str) -> bool:
        """Whether it may ask that model."""
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)
