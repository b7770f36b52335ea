"""How a part of an attempt ended, as plain values that survive a crash."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from helios.domain.workflow.retries import FailureKind
from helios.errors import (
    BadOutput,
    BudgetExhausted,
    ConnectionLost,
    HeliosError,
    ModelTimeout,
    Overloaded,
    PatchRejected,
    RateLimited,
    ReservationLost,
    StoreError,
    WorkspaceError,
)

_KINDS: Mapping[type[HeliosError], FailureKind] = {
    RateLimited: FailureKind.RATE_LIMIT,
    Overloaded: FailureKind.OVERLOAD,
    ConnectionLost: FailureKind.CONNECTION,
    ModelTimeout: FailureKind.TIMEOUT,
    BadOutput: FailureKind.BAD_OUTPUT,
    PatchRejected: FailureKind.PATCH_REJECTED,
    BudgetExhausted: FailureKind.BUDGET,
    ReservationLost: FailureKind.TOOL,
    WorkspaceError: FailureKind.CONFLICT,
}
"""Errors not listed are refusals: trying again is no use."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a part failed. Times are seconds; `resets_at` is a UTC time."""

    kind: FailureKind
    detail: str
    retry_after_s: float | None = None
    resets_at: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a part produced.

    `commit` is the state of the code it leaves behind; `output` what people should read;
    `answer` what a model submitted, for the part that verifies it.
    """

    commit: str | None = None
    output: str = ""
    answer: Mapping[str, Any] | None = None
    failure: Failure | None = None
    choice: Mapping[str, Any] = field(default_factory=dict[str, Any])


def failure_of(error: HeliosError) -> Failure:
    """The failure an error amounts to.

    Raises:
        StoreError: passed on; without its database a run can only stop and be resumed.
    """
    if isinstance(error, StoreError):
        raise error
    kind = _KINDS.get(type(error), FailureKind.REFUSED)
    return Failure(
        kind,
        error.in_full,
        retry_after_s=getattr(error, "retry_after_s", None),
        resets_at=getattr(error, "resets_at", None),
    )
