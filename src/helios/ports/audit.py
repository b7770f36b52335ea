"""Whether the books of the budget agree with their entries, and writing them anew.

Promises every implementation keeps:

 1 books and entries are compared as of one moment, while others may reserve and settle
 2 verifying changes nothing
 3 rebuilding changes nothing but the books that are wrong, and those all at once
"""

from dataclasses import dataclass
from typing import Protocol

from helios.domain.budget.units import Unit


@dataclass(frozen=True, slots=True)
class Sums:
    """What is booked on a limit in a window, in the limit's unit."""

    spent: int
    held: int
    breach: int


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A window's books that do not agree with their entries.

    `opened_at` is in UTC seconds. `booked` is None where entries are left and their books are
    gone: then `label` and `unit` are not known, and rebuilding cannot bring them back.
    """

    limit_key: str
    label: str
    unit: Unit | None
    opened_at: float
    booked: Sums | None
    added_up: Sums


@dataclass(frozen=True, slots=True)
class Findings:
    """How many limits and windows were looked at, and where their books are wrong."""

    limits: int
    windows: int
    mismatches: tuple[Mismatch, ...]


class Auditor(Protocol):
    """Adds the books up anew from their entries."""

    async def verify(self) -> Findings:
        """Where the books are wrong; nowhere, unless somebody wrote past Helios.

        Raises:
            StoreError: the database cannot be used.
        """
        ...

    async def rebuild(self) -> Findings:
        """Write wrong books anew from their entries; what was wrong before.

        Raises:
            StoreError: the database cannot be used; nothing was changed.
        """
        ...
