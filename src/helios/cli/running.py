"""run, resume, cancel: driving runs."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from helios.cli.options import DEFAULT_FILE, AsJson, ProjectPath, SettingFlags, go
from helios.cli.terminal import next_command, print_json, talk
from helios.domain.workflow.states import RunState

SandboxChoice = Annotated[
    Literal["auto", "strict", "direct"] | None,
    Parameter(help="Where agents' code runs; direct means without containment."),
]
Wait = Annotated[
    bool, Parameter(help="Wait for a budget window to reset instead of stopping with code 4.")
]
Provider = Annotated[
    str | None,
    Parameter(
        help="anthropic, openai, google, ollama, claude-code, simulator or a plug-in's; by the key "
        "at hand when not said."
    ),
]


def run(
    file: ProjectPath = DEFAULT_FILE,
    *,
    new: Annotated[bool, Parameter(help="Give up an unfinished run and start anew.")] = False,
    json: AsJson = False,
    wait: Wait = True,
    sandbox: SandboxChoice = None,
    provider: Provider = None,
    flags: SettingFlags | None = None,
) -> int:
    """Run a project, or go on with its unfinished run."""
    settings = (flags or SettingFlags()).settings(sandbox=sandbox, provider=provider)
    from helios.cli.driving import drive
    from helios.services.run_book import Wish

    wish: Wish = "start" if new else "continue or start"
    return go(drive(file, settings, wish=wish, as_json=json, wait=wait))


def resume(
    file: ProjectPath = DEFAULT_FILE,
    *,
    json: AsJson = False,
    wait: Wait = True,
    sandbox: SandboxChoice = None,
    flags: SettingFlags | None = None,
) -> int:
    """Go on with a project's unfinished run, as the project was when it began."""
    settings = (flags or SettingFlags()).settings(sandbox=sandbox)
    from helios.cli.driving import drive

    return go(drive(file, settings, wish="continue", as_json=json, wait=wait))


def cancel(
    file: ProjectPath = DEFAULT_FILE, *, json: AsJson = False, flags: SettingFlags | None = None
) -> int:
    """End a project's unfinished run; what is running is stopped."""
    return go(_cancel(file, as_json=json, flags=flags or SettingFlags()))


async def _cancel(file: Path, *, as_json: bool, flags: SettingFlags) -> int:
    from helios.bootstrap.house import open_house
    from helios.bootstrap.project import read_project
    from helios.errors import ConflictError

    project = read_project(file)
    async with open_house(flags.settings()) as house:
        unfinished = await house.book.unfinished(project.id)
        if unfinished is None:
            raise ConflictError(f"{file} has no unfinished run", next_step="Nothing to cancel.")
        if await house.locks.is_held(project.id):
            await house.book.ask_to_cancel(unfinished)
            state = RunState.CANCELLING
        else:
            await house.book.give_up(unfinished, "cancelled by you")
            state = RunState.CANCELLED
    if as_json:
        print_json({"schema": 1, "run": unfinished.id, "state": str(state)})
    else:
        talk().print(f"[yellow]⊘[/] run {unfinished.number} of {unfinished.name} is {state}")
        next_command(f"helios status {file}" if file != DEFAULT_FILE else "helios status")
    return 0
