"""What driving a run needs besides: provider, sandbox, repository, engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from helios.agents import outputs
from helios.bootstrap.finishing import Finisher
from helios.bootstrap.house import Desk, House
from helios.bootstrap.providers import vendor_settings
from helios.codebase.worktrees import GitWorkspace
from helios.config import sqlite_url
from helios.domain.ids import run_id
from helios.domain.workflow.spec import ProjectSpec
from helios.engine.runs import RunEngine, RunParts
from helios.ports.locks import Hold
from helios.ports.models import Provider
from helios.ports.runs import RunRecord
from helios.providers.open import open_provider
from helios.sandboxes.open import open_sandbox
from helios.services.execution import LiveProject, TaskRunner
from helios.services.execution.runner import Capabilities
from helios.services.responses import Responses
from helios.telemetry.logs import configure_logs


@dataclass(frozen=True, slots=True)
class Session:
    """One run that is ready to be driven by this process."""

    record: RunRecord
    project: LiveProject
    desk: Desk
    engine: RunEngine
    finish: Finisher


@asynccontextmanager
async def open_session(
    house: House, record: RunRecord, now: ProjectSpec, hold: Hold
) -> AsyncIterator[Session]:
    """Open what driving a run needs: provider, sandbox, repository, engine.

    Args:
        house: what the command has opened.
        record: the run.
        now: the project as its file says now, for budget and pace.
        hold: says that nobody else drives it; see `House.locks`.

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
    workspace = await _workspace(house, record, project)
    provider = await _provider(house, record, project)
    try:
        finisher = Finisher(house, record, project.graph, workspace)
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
            runner=runner,
            clock=house.clock,
            engine_url=_engine_url(house, record),
            hold=hold,
            conclude=finisher.conclude,
        )
        yield Session(record, project, desk, RunEngine(parts), finisher)
    finally:
        await provider.close()


async def _workspace(house: House, record: RunRecord, project: LiveProject) -> GitWorkspace:
    """The repository of a run, without what earlier runs of its project left behind."""
    workspace = GitWorkspace(
        run=record.id,
        spec=project.spec.repo,
        project_dir=Path(record.path).parent,
        home=project.home,
        snapshot_dir=project.home / "repository",
        clock=house.clock,
    )
    await workspace.prepare()
    earlier = (run_id(record.project, number) for number in range(1, record.number))
    await workspace.tidy_earlier(house.run_home(run) for run in earlier)
    return workspace


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
