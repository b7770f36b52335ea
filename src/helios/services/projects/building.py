"""Makes the domain's project of what the file says: defaults filled in, values put in."""

from collections.abc import Collection

from helios.domain.pricing import Tier
from helios.domain.workflow.retries import RetryPolicy
from helios.domain.workflow.spec import BudgetSpec, Gate, ProjectSpec, RepoSpec, TaskSpec
from helios.services.projects.fanout import Instance
from helios.services.projects.file_model import (
    BudgetFile,
    DefaultsFile,
    GateFile,
    ProjectFile,
    Settings,
)
from helios.services.projects.findings import Findings, Spot, quoted
from helios.services.projects.needs import Needs
from helios.services.projects.quantities import parse_deadline


def build_project(file: ProjectFile, tasks: tuple[TaskSpec, ...]) -> ProjectSpec:
    """The project of a file and its tasks."""
    return ProjectSpec(
        name=file.name.strip(),
        goal=file.goal.strip(),
        tasks=tasks,
        repo=RepoSpec(file.repo.path or None, file.repo.snapshot or None),
        budget=_budget(file.budget),
        parallel=file.parallel,
        language=file.language,
        answers=file.answers or None,
        models={tier: name for tier in Tier if (name := getattr(file.models, tier.value))},
    )


def build_task(
    instance: Instance, defaults: DefaultsFile, needs: Needs, now: float, findings: Findings
) -> TaskSpec:
    """One task. Globs that leave the repository are noted."""
    task = instance.file
    said = task.model_fields_set
    by_agent = "agent" in said

    def source(key: str) -> Settings:
        return task if key in said else defaults

    def filled(key: str, text: str) -> str:
        return instance.filled(text, instance.spot(key), findings)

    files = _globs(instance, "files", task.files, findings)
    gates = source("gates").gates if by_agent else task.gates
    return TaskSpec(
        id=instance.id,
        agent=task.agent.strip() or None,
        run=filled("run", task.run) or None,
        action=task.action if "action" in said else None,
        prompt=filled("prompt", task.prompt),
        needs=needs.get(instance.id, ()),
        files=files,
        editable=_globs(instance, "editable", task.editable, findings)
        if "editable" in said
        else files,
        gates=tuple(_gate(instance, gate, findings) for gate in gates),
        model=(source("model").model if by_agent else task.model).strip() or None,
        priority=source("priority").priority,
        deadline=parse_deadline(task.deadline, now) if task.deadline else None,
        timeout_s=source("timeout").timeout,
        retry=RetryPolicy(
            retries=source("retries").retries,
            escalate_after=source("escalate_after").escalate_after,
        ),
        messages=task.messages or None,
    )


def _budget(budget: BudgetFile) -> BudgetSpec:
    said: Collection[str] = budget.model_fields_set
    return BudgetSpec(
        budget.messages if "messages" in said else None,
        budget.cost_usd if "cost_usd" in said else None,
        budget.strong_share if "strong_share" in said else None,
        budget.account,
    )


def _gate(instance: Instance, gate: GateFile, findings: Findings) -> Gate:
    return Gate(instance.filled(gate.run, instance.spot("gates"), findings), gate.timeout)


def _globs(instance: Instance, key: str, globs: list[str], findings: Findings) -> tuple[str, ...]:
    found: list[str] = []
    for index, written in enumerate(globs):
        spot = instance.spot(key, index)
        glob = instance.filled(written, spot, findings).strip()
        _keep_inside(glob, spot, findings)
        found.append(glob)
    return tuple(found)


def _keep_inside(glob: str, spot: Spot, findings: Findings) -> None:
    if glob.startswith("/") or ".." in glob.split("/"):
        hint = "Write it relative to the repository's top folder, without .. in it."
        findings.add(spot, f"{quoted(glob)} leaves the repository", hint)
