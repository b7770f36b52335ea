"""What is allowed in a project file and may still end badly: results that do not merge."""

from collections.abc import Mapping

from helios.domain.roles import Role
from helios.domain.workflow.collisions import overlaps
from helios.domain.workflow.graph import Graph
from helios.domain.workflow.spec import ProjectSpec


def collision_warnings(
    spec: ProjectSpec, graph: Graph, roles: Mapping[str, Role]
) -> tuple[str, ...]:
    """A sentence for each pair of agents that may change the same lines at the same time."""
    editable = {
        task.id: task.editable or ("*",)
        for task in spec.tasks
        if task.agent and roles[task.agent].output == "patch"
    }
    return tuple(
        f"{pair.first} and {pair.second} may both change {pair.glob}, and neither needs the other: "
        "if they change the same lines, their results cannot be merged. Let one need the other "
        "(`needs:`), or give each its own `editable`."
        for pair in overlaps(graph, editable)
    )
