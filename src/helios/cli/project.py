"""init, check, plan: before anything runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from helios.cli.options import DEFAULT_FILE, AsJson, ProjectPath, SettingFlags, go
from helios.cli.terminal import next_command, out, print_json, talk
from helios.errors import ConflictError

if TYPE_CHECKING:
    from helios.config import Settings
    from helios.domain.workflow.spec import ProjectSpec


def init(
    file: ProjectPath = DEFAULT_FILE,
    *,
    name: Annotated[
        str | None, Parameter(help="The project's name; the folder's by default.")
    ] = None,
    language: Annotated[Literal["en", "ko"], Parameter(help="Of the comments.")] = "en",
) -> int:
    """Write a commented project file to start from."""
    from helios.services.projects import template

    if file.exists():
        raise ConflictError(
            f"{file} exists already", next_step=f"Edit it, or name another: helios init {file}.new"
        )
    text = template(name or file.resolve().parent.name, language)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    talk().print(f"[green]✓[/] wrote {file}")
    next_command(f"helios check {file}" if file != DEFAULT_FILE else "helios check")
    return 0


def check(file: ProjectPath = DEFAULT_FILE, *, json: AsJson = False) -> int:
    """Find everything that is wrong with a project file."""
    from helios.bootstrap.project import read_project

    project = read_project(file)
    groups = project.graph.groups()
    if json:
        print_json({
            "schema": 1,
            "ok": True,
            "name": project.spec.name,
            "tasks": len(project.spec.tasks),
            "groups": len(groups),
        })  # fmt: skip
        return 0
    talk().print(
        f"[green]✓[/] {file}: {len(project.spec.tasks)} tasks in {len(groups)} groups, no problems"
    )
    next_command("helios plan" if file == DEFAULT_FILE else f"helios plan {file}")
    return 0


def plan(
    file: ProjectPath = DEFAULT_FILE, *, json: AsJson = False, flags: SettingFlags | None = None
) -> int:
    """Show order, models with reasons, expected messages and cost, and whether it fits."""
    return go(_plan(file, as_json=json, flags=flags or SettingFlags()))


async def _plan(file: Path, *, as_json: bool, flags: SettingFlags) -> int:
    from helios.bootstrap.house import open_house
    from helios.bootstrap.project import read_project
    from helios.cli.plan_view import show_plan
    from helios.domain.ids import RunId
    from helios.errors import BudgetExhausted
    from helios.services.planner import plan_to_json

    project = read_project(file)
    async with open_house(flags.settings()) as house:
        unfinished = await house.book.unfinished(project.id)
        run = unfinished.id if unfinished else RunId(f"{project.id}.next")
        repo = project.spec.repo.path or project.spec.repo.snapshot
        folder = project.path.parent / repo if repo else None
        desk = await house.desk(unfinished)
        made = await desk.planner(project.spec).plan(
            project.spec, project.graph, project.roles, run, folder
        )
    if as_json:
        print_json(plan_to_json(made))
    else:
        show_plan(out(), project.spec, made)
        if unfinished is None and _nobody_answers(project.spec, house.settings):
            talk().print(
                "[yellow]■[/] `helios run` will refuse: no model is configured to answer the "
                "agents.\n  Set ANTHROPIC_API_KEY or the setting `provider`, or name recorded "
                "answers with `answers:`."
            )
        else:
            next_command("helios run" if file == DEFAULT_FILE else f"helios run {file}")
    return 0 if made.fits else BudgetExhausted.exit_code


def _nobody_answers(spec: "ProjectSpec", settings: "Settings") -> bool:
    """Whether a new run would have agents and no model to answer them."""
    from helios.bootstrap.house import surroundings

    has_agents = any(task.agent for task in spec.tasks)
    return has_agents and not spec.answers and surroundings(settings).simulated
