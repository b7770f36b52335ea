"""status, why, budget: asking without changing anything."""

from pathlib import Path

from helios.cli.options import DEFAULT_FILE, AsJson, ProjectPath, SettingFlags, go
from helios.cli.terminal import next_command, out, print_json
from helios.errors import ConflictError, UsageError


def status(
    file: ProjectPath = DEFAULT_FILE, *, json: AsJson = False, flags: SettingFlags | None = None
) -> int:
    """Show how far a project's newest run is."""
    return go(_status(file, as_json=json, flags=flags or SettingFlags()))


async def _status(file: Path, *, as_json: bool, flags: SettingFlags) -> int:
    from helios.bootstrap.house import open_house
    from helios.bootstrap.project import read_project
    from helios.cli.live import render
    from helios.services.progress import progress_to_json

    project = read_project(file)
    async with open_house(flags.settings()) as house:
        record = await house.stores.runs.latest_run(project.id)
        if record is None:
            raise ConflictError(f"{file} has not been run yet", next_step="`helios run` starts it.")
        desk = await house.desk(record)
        progress = await desk.progress.read(house.recorded(record, project.spec))
        held = await house.locks.is_held(project.id)
    if as_json:
        print_json({**progress_to_json(progress), "driven": held})
        return 0
    out().print(render(progress, height=1_000))
    if not record.state.final:
        if held:
            next_command("helios why TASK")
        else:
            next_command("nobody drives this run now; `helios resume` goes on with it")
    return 0


def why(
    task: str,
    file: ProjectPath = DEFAULT_FILE,
    *,
    json: AsJson = False,
    flags: SettingFlags | None = None,
) -> int:
    """Say why a task waits, and why it has the model it has."""
    return go(_why(task, file, as_json=json, flags=flags or SettingFlags()))


async def _why(task: str, file: Path, *, as_json: bool, flags: SettingFlags) -> int:
    from difflib import get_close_matches

    from helios.bootstrap.house import open_house
    from helios.bootstrap.project import read_project
    from helios.cli.why_view import show_why
    from helios.domain.ids import TaskId

    project = read_project(file)
    async with open_house(flags.settings()) as house:
        record = await house.stores.runs.latest_run(project.id)
        live = house.recorded(record, project.spec) if record else None
        spec = live.spec if live else project.spec
        tasks = spec.by_id
        if task not in tasks:
            close = get_close_matches(task, list(tasks), n=1)
            hint = f'Did you mean "{close[0]}"?' if close else f"Tasks: {', '.join(tasks)}."
            raise UsageError(f'{file} has no task "{task}"', next_step=hint)
        explainer = (await house.desk(record)).explainer(spec)
        answer = await explainer.explain(TaskId(task), spec, project.roles, live)
    if as_json:
        print_json(answer)
    else:
        show_why(out(), answer)
    return 0
