"""What happened, as it happens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from helios.domain.ids import RunId


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One fact about a run. `seq` orders the events of a database; 0 is not stored yet."""

    run: RunId
    kind: str
    at: float
    task: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seq: int = 0


class EventSink(Protocol):
    """Somebody who wants to know at once; must not block."""

    def __call__(self, event: RunEvent) -> None:
        """Take one event."""
        ...
