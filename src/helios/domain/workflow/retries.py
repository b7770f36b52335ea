"""What to do after a failed attempt: again, again with a stronger model, or not at all."""

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """Why an attempt failed; each kind has its own cure."""

    RATE_LIMIT = "rate limit"
    OVERLOAD = "overload"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    BAD_OUTPUT = "bad output"
    PATCH_REJECTED = "patch does not fit"
    GATE = "gate failed"
    TOOL = "tool failure"
    REFUSED = "refused by the provider"
    BUDGET = "budget exhausted"
    CONFLICT = "merge conflict"
    REJECTED = "rejected in review"
    CANCELLED = "cancelled"
    DEFECT = "defect in Helios"


TRANSIENT = frozenset(
    {
        FailureKind.RATE_LIMIT,
        FailureKind.OVERLOAD,
        FailureKind.CONNECTION,
        FailureKind.TIMEOUT,
        FailureKind.TOOL,
    }
)
"""The world's fault: wait, then the same again."""

MODEL_FAULT = frozenset({FailureKind.BAD_OUTPUT, FailureKind.PATCH_REJECTED, FailureKind.GATE})
"""The model's fault: tell it what went wrong, and after a while ask a stronger one."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently. Delays are seconds."""

    retries: int = 3
    first_delay_s: float = 1.0
    factor: float = 2.0
    longest_delay_s: float = 60.0
    jitter: float = 0.25
    escalate_after: int = 2


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """Try again after `delay_s`, `escalate` steps above the first model."""

    delay_s: float
    escalate: int
    reason: str


def decide(
    policy: RetryPolicy,
    failures: tuple[FailureKind, ...],
    *,
    draw: float,
    retry_after_s: float | None = None,
) -> RetryDecision | None:
    """What follows the last of `failures`; None means give up.

    Args:
        policy: the task's policy.
        failures: every failed attempt so far, oldest first.
        draw: a number in [0, 1) that spreads the delay by `policy.jitter`.
        retry_after_s: the provider's own wish, never undercut.
    """
    last = failures[-1]
    count = len(failures)
    if last not in TRANSIENT | MODEL_FAULT or count > policy.retries:
        return None
    escalate = escalation(policy, failures)
    if last in MODEL_FAULT:
        reason = f"attempt {count} failed ({last}), again with what it showed"
        if escalate > escalation(policy, failures[:-1]):
            reason = f"attempt {count} failed ({last}), next with a stronger model"
        return RetryDecision(retry_after_s or 0.0, escalate, reason)
    streak = sum(1 for kind in failures if kind in TRANSIENT)
    delay = min(policy.longest_delay_s, policy.first_delay_s * policy.factor ** (streak - 1))
    delay *= 1.0 + policy.jitter * (2.0 * draw - 1.0)
    delay = max(delay, retry_after_s or 0.0)
    return RetryDecision(delay, escalate, f"attempt {count} failed ({last}), again in {delay:.1f}s")


def escalation(policy: RetryPolicy, failures: tuple[FailureKind, ...]) -> int:
    """How many steps above the first model the next attempt goes: one for every
    `escalate_after` failures that were the model's own.
    """
    own = sum(1 for kind in failures if kind in MODEL_FAULT)
    return own // policy.escalate_after if policy.escalate_after > 0 else 0
