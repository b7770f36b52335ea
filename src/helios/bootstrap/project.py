"""A project file with the roles it may name, read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from helios.agents.catalogue import load_roles
from helios.bootstrap.pricelist import price_list
from helios.config import Settings
from helios.domain.ids import ProjectId, project_id
from helios.domain.roles import Role
from helios.domain.workflow.graph import Graph, build_graph
from helios.domain.workflow.spec import ProjectSpec
from helios.errors import UsageError
from helios.ports.clock import Clock
from helios.services.projects import load_project
from helios.telemetry.system_clock import SystemClock


@dataclass(frozen=True, slots=True)
class LoadedProject:
    """A project file that is valid, and where it lies."""

    id: ProjectId
    path: Path
    spec: ProjectSpec
    graph: Graph
    roles: Mapping[str, Role]


def read_project(
    path: Path, clock: Clock | None = None, *, settings: Settings | None = None
) -> LoadedProject:
    """Read and check a project file.

    Args:
        path: the file.
        clock: whose time deadlines count from.
        settings: by whose prices every model it names must have one; None leaves that to the run.

    Raises:
        ProjectFileError: with everything that is wrong with it.
    """
    roles = load_roles(agents_folder(path))
    now = (clock or SystemClock()).now()
    priced = price_list(settings, now).models if settings else None
    spec = load_project(path, known_agents=tuple(roles), now=now, priced=priced)
    graph = build_graph(spec.needs)
    if not isinstance(graph, Graph):
        raise UsageError(f"{path} has a broken graph")
    place = path.resolve()
    return LoadedProject(project_id(spec.name, str(place)), place, spec, graph, roles)


def agents_folder(path: Path) -> Path:
    """Where a project keeps roles of its own: .claude/agents beside its file."""
    return path.parent / ".claude" / "agents"
