"""A gateway key: who may call through Helios, on which budget, with which models, how often."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

SUBSCRIPTION_PREFIX = "sk-ant-oat"
"""What the tokens of subscriptions begin with."""

SUBSCRIPTION_PAGE = "docs/subscriptions.md"


class Policy(StrEnum):
    """What Helios may do with the model a client asks for."""

    OFF = "off"
    """Forward what is asked."""
    ADVISE = "advise"
    """Forward what is asked, and say in a header what would have done."""
    ENFORCE = "enforce"
    """Ask the model that does instead."""

    def at_least(self, asked: "Policy") -> "Policy":
        """This one, or a stricter one that is asked for."""
        order = list(Policy)
        return max(self, asked, key=order.index)


class KeyState(StrEnum):
    """Whether calls may be made with a key."""

    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"


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

    def state(self, now: float) -> KeyState:
        """Whether calls may be made with it at that time; one that was revoked is so for ever."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        expired = self.expires_at is not None and now >= self.expires_at
        return KeyState.EXPIRED if expired else KeyState.LIVE

    def live(self, now: float) -> bool:
        """Whether calls may be made with it at that time."""
        return self.state(now) is KeyState.LIVE

    def allows(self, model: str) -> bool:
        """Whether it may ask that model."""
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)


LOCAL = GatewayKey("local", "")
"""Everybody, as long as no key was ever made."""


class Reason(StrEnum):
    """Why a credential does not let a call in."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    REVOKED = "revoked"
    EXPIRED = "expired"
    MODEL = "model"
    """The key may not ask this model."""
    RATE = "rate"
    """The key has made as many calls as it may in a minute."""
    SUBSCRIPTION = "subscription"
    """It is a token of a subscription, which Helios never passes on."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why not, with a sentence for people that never holds the credential.

    `wait_s` is how long until it is worth trying again; 0 where waiting is no help. `key` is the
    key that was found, if one was.
    """

    reason: Reason
    message: str
    wait_s: float = 0.0
    key: GatewayKey | None = None


NO_KEY = Refused(
    Reason.MISSING,
    "no gateway key was sent; make one with `helios keys create NAME` and send it as x-api-key",
)
NOT_KNOWN = Refused(
    Reason.UNKNOWN,
    "this gateway key is not known here; make one with `helios keys create NAME`",
)
OF_SUBSCRIPTION = Refused(
    Reason.SUBSCRIPTION,
    "this is the token of a Claude subscription: Helios never passes on, keeps or stands in for "
    f"subscription credentials; use a gateway key, and read {SUBSCRIPTION_PAGE}",
)


def problem_with_key(key: GatewayKey, now: float) -> Refused | None:
    """Why the key lets nobody in at that time; None when it does."""
    told = f"gateway key {key.name!r}"
    match key.state(now):
        case KeyState.LIVE:
            return None
        case KeyState.EXPIRED:
            return Refused(Reason.EXPIRED, f"{told} has expired; make a new one", key=key)
        case KeyState.REVOKED:
            return Refused(Reason.REVOKED, f"{told} was revoked; make a new one", key=key)


def problem_with_model(key: GatewayKey, model: str) -> Refused | None:
    """Why the key may not ask that model; None when it may."""
    if key.allows(model):
        return None
    told = f"gateway key {key.name!r} may not ask {model[:100]!r}, only {', '.join(key.models)}"
    return Refused(Reason.MODEL, told, key=key)


def too_many_calls(key: GatewayKey, wait_s: float) -> Refused:
    """The key has called as often as it may."""
    often = "once" if key.calls_per_minute == 1 else f"{key.calls_per_minute} times"
    told = f"gateway key {key.name!r} may call {often} a minute"
    return Refused(Reason.RATE, f"{told}; the next call in {wait_s:.1f} s", wait_s, key)


def matches_nothing(patterns: Collection[str], models: Collection[str]) -> tuple[str, ...]:
    """The patterns that match none of these models."""
    return tuple(p for p in patterns if not any(fnmatchcase(model, p) for model in models))
