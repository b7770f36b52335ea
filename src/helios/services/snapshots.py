"""A status as a text that others can read, and check."""

import math
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from helios.services.governor import BudgetStatus


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Which of two snapshots is the newer one: by the ledger's time, then by number."""

    at: float
    seq: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A status under the name of its scope."""

    scope: str
    version: Version
    status: BudgetStatus


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings", allow_inf_nan=True)

    layout: str
    scope: str
    at: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    seq: Annotated[int, Field(ge=1)]
    status: BudgetStatus


@cache
def layout() -> str:
    """Names the shape of a status, so that programs of another shape let it be."""
    shape = repr(TypeAdapter(BudgetStatus).json_schema())
    return sha256(shape.encode()).hexdigest()[:12]


def encode(snapshot: Snapshot) -> bytes:
    """JSON in UTF-8."""
    version = snapshot.version
    text = _Text(
        layout=layout(),
        scope=snapshot.scope,
        at=version.at,
        seq=version.seq,
        status=snapshot.status,
    )
    return text.model_dump_json().encode()


def decode(text: bytes) -> Snapshot | None:
    """What a text says; None when it is not of this shape."""
    try:
        read = _Text.model_validate_json(text)
    except ValidationError:
        return None
    if read.layout != layout() or read.status.at != read.at or not _is_finite(read.status):
        return None
    return Snapshot(read.scope, Version(read.at, read.seq), read.status)


def _is_finite(status: BudgetStatus) -> bool:
    """Whether its shares are numbers; only the end of a brake may be beyond all numbers."""
    shares = [status.used, status.strong_share_used, *(gauge.used for gauge in status.gauges)]
    return all(math.isfinite(share) for share in shares)
