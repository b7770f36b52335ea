"""The one room that knows concrete back ends and joins everything."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from helios.agents import outputs
from helios.agents.catalogue import load_roles
from helios.codebase.worktrees import GitWorkspace
from helios.config import Settings
from helios.domain.budget.preset import Plan, simulated_plan
from helios.domain.ids import ProjectId, RunId, project_id
from helios.domain.pricing import Catalogue
from helios.domain.roles import Role
from helios.domain.workflow.graph import Graph, build_graph
from helios.domain.workflow.spec import ProjectSpec
from helios.engine.runs import RunEngine, RunParts
from helios.errors import UsageError
from helios.ports.clock import Clock
from helios.ports.events import EventSink
from helios.ports.models import Provider
from helios.ports.runs import RunRecord
from helios.providers.open import open_provider
from helios.providers.prices import load_catalogue
from helios.sandboxes.open import open_sandbox, probe_sandbox
from helios.services.execution import LiveProject, TaskRunner
from helios.services.execution.runner import Capabilities
from helios.services.explainer import Explainer
from helios.services.governor import Governor
from helios.services.planner import Planner
from helios.services.plans import load_plan
from helios.services.progress import ProgressReader
from helios.services.projects import load_project, spec_from_json
from helios.services.reports import make_report
from helios.services.responses import Responses
from helios.services.router import Router
from helios.services.run_book import RunBook, Surroundings, with_pace_of
from helios.services.summary import RunSummary, summarise
from helios.stores.open import Stores, open_stores
from helios.telemetry.logs import configure_logs
from helios.telemetry.system_clock import SystemClock

SIMULATOR = "simulator"


@dataclass(frozen=True, slots=True)
class LoadedProject:
    """A project file that is valid, and where it lies."""

    id: ProjectId
    path: Path
    spec: ProjectSpec
    graph: Graph
    roles: Mapping[str, Role]


@dataclass(frozen=True, slots=True)
class House:
    """Everything that lives as long as a command."""

    settings: Settings
    clock: Clock
    stores: Stores
    catalogue: Catalogue
    plan: Plan
    book: RunBook

    def desk(self, record: RunRecord | None = None) -> "Desk":
        """The desk of a run; without one, of what a new run would be."""
        around = record or surroundings(self.settings)
        plan = simulated_plan(self.plan) if around.simulated else self.plan
        governor = Governor(self.stores.ledger, plan, self.clock)
        return Desk(self, governor, around.simulated)

    @property
    def locks(self) -> Path:
        """Where the locks of projects lie."""
        return self.settings.home / "locks"

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

    def planner(self, spec: ProjectSpec) -> Planner:
        """Plans with the same router and governor that run."""
        return Planner(self.router(spec), self.governor)

    @property
    def progress(self) -> ProgressReader:
        """Reads how far runs are."""
        return ProgressReader(self.house.stores.runs, self.governor, self.house.clock)

    def explainer(self, spec: ProjectSpec) -> Explainer:
        """Answers why a task waits and why it has its model."""
        runs, clock = self.house.stores.runs, self.house.clock
        return Explainer(runs, self.router(spec), self.governor, clock)


@dataclass(frozen=True, slots=True)
class Session:
    """One run that is ready to be driven by this process."""

    record: RunRecord
    project: LiveProject
    engine: RunEngine
    finish: "Finisher"


class Finisher:
    """Publishes a run's result and writes its report; may be asked again at any time."""

    def __init__(self, house: House, record: RunRecord, workspace: GitWorkspace) -> None:
        self._house = house
        self._record = record
        self._workspace = workspace
        self.branch: str | None = None

    async def publish(self) -> str | None:
        """Point the run's branch at everything accepted so far; its name."""
        tasks = await self._house.stores.runs.tasks(self._record.id)
        commits = [task.commit for task in tasks if task.commit]
        if commits:
            self.branch = await self._workspace.publish(await self._workspace.base_for(commits))
        return self.branch

    async def report(self) -> Path:
        """Write report.md and report.json; the path of the first."""
        summary = await self._house.summary(self._record)
        report = await make_report(summary, self._house.stores.runs, self.branch)
        return report.write(self._house.run_home(self._record.id) / "report")

    async def publish_and_report(self) -> str:
        """Both, as the `report` action asks for; what came of it in a sentence."""
        branch = await self.publish()
        await self.report()
        return f"report written; result on branch {branch}" if branch else "report written"


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
    prices = Path(settings.prices) if settings.prices else None
    catalogue = load_catalogue(prices, datetime.fromtimestamp(clock.now(), UTC))
    plan = load_plan(settings.plan, settings.plan_messages)
    settings.home.mkdir(parents=True, exist_ok=True)
    stores = open_stores(settings.database_url, clock, sink)
    try:
        yield House(settings, clock, stores, catalogue, plan, RunBook(stores.runs))
    finally:
        await stores.close()


def read_project(path: Path, clock: Clock | None = None) -> LoadedProject:
    """Read and check a project file.

    Raises:
        ProjectFileError: with everything that is wrong with it.
    """
    roles = load_roles(agents_folder(path))
    now = (clock or SystemClock()).now()
    spec = load_project(path, known_agents=tuple(roles), now=now)
    graph = build_graph(spec.needs)
    if not isinstance(graph, Graph):
        raise UsageError(f"{path} has a broken graph")
    place = path.resolve()
    return LoadedProject(project_id(spec.name, str(place)), place, spec, graph, roles)


def sandbox_state() -> tuple[bool, str]:
    """Whether agents' code can be contained on this machine, and a sentence about it."""
    return probe_sandbox()


def agents_folder(path: Path) -> Path:
    """Where a project keeps roles of its own: .claude/agents beside its file."""
    return path.parent / ".claude" / "agents"


def surroundings(settings: Settings) -> Surroundings:
    """What a new run begins with, by the settings."""
    name = settings.provider or ("anthropic" if settings.api_key else SIMULATOR)
    sandbox = "strict" if settings.sandbox == "auto" else settings.sandbox
    return Surroundings(name, simulated=name == SIMULATOR, sandbox=sandbox)


@asynccontextmanager
async def open_session(house: House, record: RunRecord, now: ProjectSpec) -> AsyncIterator[Session]:
    """Open what driving a run needs: provider, sandbox, repository, engine.

    Args:
        house: what the command has opened.
        record: the run.
        now: the project as its file says now, for budget and pace.

    Raises:
        SandboxUnavailable: no containment, and none was waived.
        WorkspaceError: the project's code cannot be used.
    """
    project = house.recorded(record, now)
    # A chosen sandbox may be waived later on, and a waiver taken back.
    wanted = house.settings.sandbox if house.settings.sandbox != "auto" else record.sandbox
    sandbox = open_sandbox(wanted)
    workspace = _workspace(house, record, project)
    await workspace.prepare()
    provider = await _provider(house, record, project)
    try:
        finisher = Finisher(house, record, workspace)
        desk = house.desk(record)
        router = desk.router(project.spec)
        can = Capabilities(
            runs=house.stores.runs,
            governor=desk.governor,
            router=router,
            responses=Responses(
                governor=desk.governor,
                ledger=house.stores.ledger,
                runs=house.stores.runs,
                provider=provider,
                catalogue=router.catalogue,
                clock=house.clock,
            ),
            workspace=workspace,
            sandbox=sandbox,
            shapes=outputs,
            clock=house.clock,
        )
        runner = TaskRunner(project, can, finisher.publish_and_report)
        parts = RunParts(
            runs=house.stores.runs,
            ledger=house.stores.ledger,
            governor=desk.governor,
            router=router,
            runner=runner,
            clock=house.clock,
            engine_url=_engine_url(house, record),
        )
        yield Session(record, project, RunEngine(parts), finisher)
    finally:
        await provider.close()


def _workspace(house: House, record: RunRecord, project: LiveProject) -> GitWorkspace:
    return GitWorkspace(
        run=record.id,
        spec=project.spec.repo,
        project_dir=Path(record.path).parent,
        home=project.home,
        snapshot_dir=project.home / "repository",
        clock=house.clock,
    )


async def _provider(house: House, record: RunRecord, project: LiveProject) -> Provider:
    return await open_provider(
        name=record.provider,
        api_key=house.settings.api_key or None,
        base_url=house.settings.base_url or None,
        script=_script(record, project),
        meter=house.settings.home / "simulator-meter.jsonl",
        time_scale=house.settings.simulator_speed,
        clock=house.clock,
        force_simulator=record.simulated,
    )


def _script(record: RunRecord, project: LiveProject) -> Path | None:
    answers = project.spec.answers
    return Path(record.path).parent / answers if answers else None


def _engine_url(house: House, record: RunRecord) -> str:
    """The engine's own database: beside the run when embedded, the shared one when there is one."""
    if house.settings.database_url.startswith("postgresql"):
        return house.settings.database_url
    folder = house.run_home(record.id)
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'engine.db'}"
