"""What every command needs: settings, stores, prices, the plan, and services over them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from helios.agents.catalogue import load_roles
from helios.bootstrap.pricelist import price_list
from helios.bootstrap.project import agents_folder
from helios.bootstrap.signals import import_signals
from helios.config import Settings
from helios.domain.budget.preset import Plan, simulated_plan
from helios.domain.ids import RunId
from helios.domain.pricing import Catalogue
from helios.domain.workflow.graph import Graph, build_graph
from helios.domain.workflow.spec import ProjectSpec
from helios.engine.lock import EveryLock
from helios.errors import UsageError
from helios.ports.clock import Clock
from helios.ports.events import EventSink
from helios.ports.locks import ProjectLocks
from helios.ports.runs import RunRecord
from helios.sandboxes.open import probe_sandbox
from helios.services.allocations import Allocator
from helios.services.calibrating import Calibrator
from helios.services.ceilings import Ceilings
from helios.services.estimates import Estimates, nobody_counts
from helios.services.execution import LiveProject
from helios.services.explainer import Explainer
from helios.services.forecasting import Forecaster
from helios.services.governor import Governor
from helios.services.planner import Planner
from helios.services.plans import load_plan
from helios.services.progress import ProgressReader
from helios.services.projects import spec_from_json
from helios.services.router import Router
from helios.services.run_book import RunBook, Surroundings, with_pace_of
from helios.services.spending import Spending
from helios.services.summary import RunSummary, summarise
from helios.stores.file_locks import FileLocks
from helios.stores.open import Stores, open_stores
from helios.telemetry.event_log import logged
from helios.telemetry.logs import configure_logs
from helios.telemetry.system_clock import SystemClock

SIMULATOR = "simulator"


@dataclass(frozen=True, slots=True)
class House:
    """Everything that lives as long as a command."""

    settings: Settings
    clock: Clock
    stores: Stores
    catalogue: Catalogue
    plan: Plan
    book: RunBook

    async def desk(
        self, record: RunRecord | None = None, *, simulated: bool | None = None
    ) -> "Desk":
        """The desk of a run; without one, of what a new run would be, or as `simulated` says."""
        if simulated is None:
            simulated = (record or surroundings(self.settings)).simulated
        plan = simulated_plan(self.plan) if simulated else self.plan
        ceilings = Ceilings(plan, self.settings.human_reserve, simulated=simulated)
        ledger, book = self.stores.ledger, self.stores.budget
        calibrator = None
        if not simulated:
            await import_signals(self.settings.home, book)
            calibrator = Calibrator(plan, ledger, book, plan_only=self.settings.plan_only)
        governor = Governor(ledger, ceilings, self.clock, book, calibrator)
        await governor.refresh(now=True)
        return Desk(self, governor, simulated)

    @property
    def locks(self) -> ProjectLocks:
        """The locks of projects: one home may use two databases, and one database two homes."""
        return EveryLock((FileLocks(self.settings.home / "locks"), self.stores.locks))

    def run_home(self, run: RunId) -> Path:
        """A run's own folder: work trees, engine, report."""
        return self.settings.home / "runs" / run

    def recorded(self, record: RunRecord, now: ProjectSpec | None = None) -> LiveProject:
        """A run's project as it was when the run began, paced as its file says `now`."""
        spec = spec_from_json(record.spec)
        spec = with_pace_of(spec, now) if now else spec
        graph = build_graph(spec.needs)
        if not isinstance(graph, Graph):
            raise UsageError(f"run {record.id} was recorded with a broken graph")
        roles = load_roles(agents_folder(Path(record.path)))
        return LiveProject(record.id, spec, graph, roles, self.run_home(record.id))

    async def summary(self, record: RunRecord) -> RunSummary:
        """The figures of a run as it stands in the record."""
        fresh = await self.stores.runs.run(record.id) or record
        graph = self.recorded(fresh).graph
        return await summarise(fresh, self.stores.runs, graph, self.catalogue)


@dataclass(frozen=True, slots=True)
class Desk:
    """The services over one set of books: simulated runs have windows and lessons of their own."""

    house: House
    governor: Governor
    simulated: bool

    def router(self, spec: ProjectSpec) -> Router:
        """The router of a project, which may name models of its own for the tiers."""
        catalogue = self.house.catalogue.with_tiers(spec.models)
        runs = self.house.stores.runs
        return Router(catalogue, self.governor, runs, simulated=self.simulated)

    @property
    def allocator(self) -> Allocator:
        """Grants budget to calls that others make."""
        return Allocator(
            governor=self.governor,
            ledger=self.house.stores.ledger,
            book=self.house.stores.budget,
            catalogue=self.house.catalogue,
            clock=self.house.clock,
            simulated=self.simulated,
        )

    @property
    def forecaster(self) -> Forecaster:
        """Says when the windows run out."""
        return Forecaster(self.governor, self.house.stores.budget, simulated=self.simulated)

    @property
    def spending(self) -> Spending:
        """Reads what was spent."""
        book, catalogue = self.house.stores.budget, self.house.catalogue
        return Spending(self.governor, book, catalogue, simulated=self.simulated)

    def planner(self, spec: ProjectSpec) -> Planner:
        """Plans with the same router and governor that run."""
        router = self.router(spec)
        estimates = Estimates(
            router.catalogue,
            self.house.stores.budget,
            count=nobody_counts,
            simulated=self.simulated,
            lower_output=True,
        )
        return Planner(router, self.governor, estimates)

    @property
    def progress(self) -> ProgressReader:
        """Reads how far runs are."""
        return ProgressReader(self.house.stores.runs, self.governor, self.house.clock)

    def explainer(self, spec: ProjectSpec) -> Explainer:
        """Answers why a task waits and why it has its model."""
        runs, clock = self.house.stores.runs, self.house.clock
        return Explainer(runs, self.router(spec), self.governor, clock)


@asynccontextmanager
async def open_house(
    settings: Settings, *, sink: EventSink | None = None, clock: Clock | None = None
) -> AsyncIterator[House]:
    """Open what every command needs: logs, stores, prices, governor, router.

    Raises:
        StoreError: the database cannot be used.
        UsageError: a setting names something that does not exist.
    """
    clock = clock or SystemClock()
    configure_logs(settings.home / "logs", settings.log_level)
    catalogue = price_list(settings, clock.now())
    plan = load_plan(settings.plan, settings.plan_messages)
    stores = open_stores(settings.database_url, clock, logged(sink))
    try:
        yield House(settings, clock, stores, catalogue, plan, RunBook(stores.runs))
    finally:
        await stores.close()


def sandbox_state() -> tuple[bool, str]:
    """Whether agents' code can be contained on this machine, and a sentence about it."""
    return probe_sandbox()


def surroundings(settings: Settings) -> Surroundings:
    """What a new run begins with, by the settings."""
    name = settings.provider or ("anthropic" if settings.api_key else SIMULATOR)
    sandbox = "strict" if settings.sandbox == "auto" else settings.sandbox
    return Surroundings(name, simulated=name == SIMULATOR, sandbox=sandbox)
