"""init, check, plan: before anything runs."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.markup import escape

from helios.cli.options import DEFAULT_FILE, AsJson, ProjectPath, SettingFlags, go
from helios.cli.terminal import next_command, out, print_json, talk
from helios.errors import ConflictError


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
    from helios.config import load_settings
    from helios.services.projects import collision_warnings

    project = read_project(file, settings=load_settings())
    groups = project.graph.groups()
    warnings = collision_warnings(project.spec, project.graph, project.roles)
    if json:
        print_json({
            "schema": 1,
            "ok": True,
            "name": project.spec.name,
            "tasks": len(project.spec.tasks),
            "groups": len(groups),
            "warnings": list(warnings),
        })  # fmt: skip
        return 0
    talk().print(
        f"[green]✓[/] {file}: {len(project.spec.tasks)} tasks in {len(groups)} groups, no problems"
    )
    for warning in warnings:
        talk().print(f"[yellow]■[/] {escape(warning)}")
    next_command("helios plan" if file == DEFAULT_FILE else f"helios plan {file}")
    return 0


def plan(
    file: ProjectPath = DEFAULT_FILE, *, json: AsJson = False, flags: SettingFlags | None = None
) -> int:
    """Show order, models with reasons, expected messages and cost, and whether it fits."""
    return go(_plan(file, as_json=json, flags=flags or SettingFlags()))


async def _plan(file: Path, *, as_json: bool, flags: SettingFlags) -> int:
    from helios.bootstrap.house import open_house, surroundings
    from helios.bootstrap.project import read_project
    from helios.cli.plan_view import show_plan
    from helios.domain.ids import RunId
    from helios.errors import BudgetExhausted
    from helios.services.planner import plan_to_json
    from helios.services.run_book import nobody_answers

    settings = flags.settings()
    project = read_project(file, settings=settings)
    async with open_house(settings) as house:
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
        if unfinished is None and nobody_answers(project.spec, surroundings(settings)):
            talk().print(
                "[yellow]■[/] `helios run` will refuse: no model is configured to answer the "
                "agents.\n  Set ANTHROPIC_API_KEY or the setting `provider`, or name recorded "
                "answers with `answers:`."
            )
        else:
            next_command("helios run" if file == DEFAULT_FILE else f"helios run {file}")
    return 0 if made.fits else BudgetExhausted.exit_code
