"""What driving a run needs besides: provider, sandbox, repository, engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from helios.agents import outputs
from helios.bootstrap.house import Desk, House
from helios.bootstrap.providers import vendor_settings
from helios.codebase.worktrees import GitWorkspace
from helios.config import sqlite_url
from helios.domain.workflow.spec import ProjectSpec
from helios.engine.runs import RunEngine, RunParts
from helios.ports.models import Provider
from helios.ports.runs import RunRecord
from helios.providers.open import open_provider
from helios.sandboxes.open import open_sandbox
from helios.services.execution import LiveProject, TaskRunner
from helios.services.execution.runner import Capabilities
from helios.services.reports import make_report
from helios.services.responses import Responses
from helios.telemetry.logs import configure_logs


@dataclass(frozen=True, slots=True)
class Session:
    """One run that is ready to be driven by this process."""

    record: RunRecord
    project: LiveProject
    desk: Desk
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
    settings = house.settings
    configure_logs(settings.home / "logs", settings.log_level, simulated=record.simulated)
    project = house.recorded(record, now)
    # A chosen sandbox may be waived later on, and a waiver taken back.
    wanted = settings.sandbox if settings.sandbox != "auto" else record.sandbox
    sandbox = open_sandbox(wanted)
    workspace = _workspace(house, record, project)
    await workspace.prepare()
    provider = await _provider(house, record, project)
    try:
        finisher = Finisher(house, record, workspace)
        desk = await house.desk(record)
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
                book=house.stores.budget,
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
        yield Session(record, project, desk, RunEngine(parts), finisher)
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
        vendors=vendor_settings(house.settings, house.clock),
        script=_script(record, project),
        meter=house.settings.home / "simulator-meter.jsonl",
        time_scale=house.settings.simulator_speed,
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
    return sqlite_url(folder / "engine.db")
