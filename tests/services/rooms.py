"""A governor, a router and a store on a real SQLite file."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from helios.domain.budget.limit import Limit
from helios.domain.ids import ProjectId, TaskId
from helios.domain.workflow.spec import BudgetSpec
from helios.ports.models import Message, ModelRequest
from helios.ports.runs import NewRun, RunRecord
from helios.providers.prices import load_catalogue
from helios.services.ceilings import Ceilings
from helios.services.governor import Governor
from helios.services.plans import load_plan
from helios.services.responses import Call, Responses
from helios.services.router import Router
from helios.stores.open import Stores, open_stores
from helios.testing.clock import MovableClock

T = TypeVar("T")
TASK = TaskId("fix")


@dataclass(frozen=True, slots=True)
class Rooms:
    stores: Stores
    governor: Governor
    router: Router
    clock: MovableClock
    run: RunRecord

    def responses(self, provider: Any, **other: Any) -> Responses:
        parts = {"ledger": self.stores.ledger, "runs": self.stores.runs,
                 "book": self.stores.budget, **other}  # fmt: skip
        return Responses(
            governor=Governor(
                parts["ledger"], self.governor.ceilings, self.clock, self.stores.budget
            ),
            provider=provider,
            catalogue=self.router.catalogue,
            clock=self.clock,
            **parts,
        )

    def limits(self, **budget: Any) -> tuple[Limit, ...]:
        return self.governor.run_limits(self.run.id, BudgetSpec(**budget))

    def call(self, limits: tuple[Limit, ...], attempt: int = 1) -> Call:
        request = ModelRequest(
            model="claude-sonnet-5-5",
            system="s",
            messages=(Message("user", "고쳐 주세요"),),
            max_tokens=1000,
        )
        return Call(self.run.id, TASK, attempt, request, limits)

    async def while_time_passes(self, work: Awaitable[T]) -> T:
        """Await something that sleeps by the movable clock."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.sleep(0.002)
            self.clock.move(0.1)
        return await task


def in_rooms(tmp_path: Path, work: Callable[[Rooms], Awaitable[T]], plan: str = "max-classic") -> T:
    async def go() -> T:
        clock = MovableClock()
        stores = open_stores(f"sqlite:///{tmp_path / 'helios.db'}", clock)
        try:
            governor = Governor(stores.ledger, Ceilings(load_plan(plan)), clock, stores.budget)
            catalogue = load_catalogue(None, datetime.fromtimestamp(clock.now(), UTC))
            run = await stores.runs.create_run(
                NewRun(ProjectId("p-1"), "p", "/p/helios.yaml", "{}", "d", "simulator",
                       simulated=True, sandbox="direct", tasks=(TASK,))
            )  # fmt: skip
            router = Router(catalogue, governor, stores.runs, simulated=True)
            return await work(Rooms(stores, governor, router, clock, run))
        finally:
            await stores.close()

    return asyncio.run(go())
