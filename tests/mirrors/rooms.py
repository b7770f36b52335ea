"""A governor over a real ledger, and mirrorings of it that share nothing but the ledger."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from helios.domain.budget.ledger import Admission, Request
from helios.domain.budget.units import Unit
from helios.domain.pricing import Tier
from helios.mirrors.open import open_mirror
from helios.ports.mirror import StatusMirror
from helios.services.ceilings import Ceilings
from helios.services.governor import BudgetStatus, Governor
from helios.services.mirroring import StatusMirroring, scope_of
from helios.services.plans import load_plan
from helios.stores.open import Stores, open_stores
from helios.testing.clock import MovableClock

T = TypeVar("T")
CALLS = 20
ONE = {Unit.MESSAGES: 1}
SCOPE = scope_of("max-classic", "장부")
KEY = f"helios:budget:{SCOPE}"


def without_age(status: BudgetStatus) -> BudgetStatus:
    """What a status says, whenever it was taken."""
    gauges = tuple(replace(gauge, age_s=0.0) for gauge in status.gauges)
    return replace(status, gauges=gauges, at=0.0)


@dataclass
class Rooms:
    """What a test works with; every mirror it opens is closed at the end."""

    stores: Stores
    clock: MovableClock
    mirrors: list[StatusMirror] = field(default_factory=list)

    def governor(self) -> Governor:
        plan = load_plan("max-classic", messages=CALLS)
        return Governor(self.stores.ledger, Ceilings(plan), self.clock, self.stores.budget)

    def mirror(self, url: str, ca: str = "") -> StatusMirror:
        self.mirrors.append(open_mirror(url, ca, self.clock))
        return self.mirrors[-1]

    def mirroring(self, mirror: StatusMirror | str, scope: str = SCOPE) -> StatusMirroring:
        opened = self.mirror(mirror) if isinstance(mirror, str) else mirror
        return StatusMirroring(self.governor(), opened, self.clock, scope)

    async def truth(self) -> BudgetStatus:
        """What the ledger says now."""
        governor = self.governor()
        await governor.refresh(now=True)
        return without_age(await governor.status())

    async def spend(self, name: str, *, governor: Governor | None = None) -> Admission:
        """One call, from its reservation to its bill."""
        governor = governor or self.governor()
        limits = governor.ceilings.of_account()
        answer = await governor.reserve(Request(name, Tier.STANDARD, ONE, priority=10), limits)
        if answer.entry:
            await self.stores.ledger.mark_sent(name, answer.entry.fence)
            await governor.settle(name, answer.entry.fence, ONE)
        return answer


def in_rooms(folder: Path, work: Callable[[Rooms], Awaitable[T]]) -> T:
    async def go() -> T:
        clock = MovableClock()
        rooms = Rooms(open_stores(f"sqlite:///{folder / 'helios.db'}", clock), clock)
        try:
            return await work(rooms)
        finally:
            for mirror in rooms.mirrors:
                await mirror.close()
            await rooms.stores.close()

    return asyncio.run(go())
