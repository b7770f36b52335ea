"""Reads a project file: a project, or everything that is wrong with the file, at once."""

from collections.abc import Collection
from pathlib import Path

from helios.domain.workflow.spec import ProjectSpec
from helios.services.projects.building import build_project, build_task
from helios.services.projects.checks import check_file
from helios.services.projects.fanout import expand
from helios.services.projects.findings import Findings
from helios.services.projects.needs import resolve_needs
from helios.services.projects.source import read_source
from helios.services.projects.strict_yaml import Mapping, parse
from helios.services.projects.validation import describe, read_model


def load_project(
    path: Path,
    *,
    known_agents: Collection[str],
    now: float,
    priced: Collection[str] | None = None,
) -> ProjectSpec:
    """The project a file describes.

    Args:
        path: the file; problems name it as it is written here.
        known_agents: the agents a task may name.
        now: UTC seconds, the start of deadlines given as lengths of time.
        priced: the models with a price; None leaves that to the run.

    Raises:
        ProjectFileError: with every problem of the file, sorted by place.
    """
    text = read_source(path)
    return parse_project(text, file=str(path), known_agents=known_agents, now=now, priced=priced)


def parse_project(
    text: str,
    *,
    file: str,
    known_agents: Collection[str],
    now: float,
    priced: Collection[str] | None = None,
) -> ProjectSpec:
    """The same for text that is at hand; `file` is how problems name it.

    Raises:
        ProjectFileError: with every problem of the text, sorted by place.
    """
    findings = Findings(file, text)
    root = parse(text, findings)
    if root is not None and not isinstance(root, Mapping):
        findings.add(
            root, f"expected keys and values, got {describe(root)}", "Begin with `helios: 1`."
        )
    if not isinstance(root, Mapping):
        raise findings.error
    model = read_model(root, findings)
    check_file(root, model, known_agents, priced, findings)
    expansion = expand(model, root, findings)
    needs = resolve_needs(expansion, findings)
    tasks = tuple(
        build_task(instance, model.defaults, needs, now, findings)
        for instance in expansion.instances
    )
    if findings:
        raise findings.error
    return build_project(model, tasks)
