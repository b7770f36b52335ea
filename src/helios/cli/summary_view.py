"""How the end of a run looks in a terminal."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from helios.cli.terminal import duration, state_text
from helios.domain.budget.units import Unit, show
from helios.domain.workflow.states import RunState, TaskState
from helios.services.reports import Result
from helios.services.summary import RunSummary

STATE_MARK = {
    RunState.DONE: "[bold green]✓ done[/]",
    RunState.FAILED: "[bold red]✗ failed[/]",
    RunState.CANCELLED: "[yellow]⊘ cancelled[/]",
    RunState.STOPPED: "[yellow]■ stopped[/]",
}


def show_summary(console: Console, summary: RunSummary, result: Result, report: Path) -> None:
    """Tasks, retries, models, cost and saving, time and speed-up, where the result is."""
    run = summary.run
    mark = STATE_MARK.get(run.state, str(run.state))
    simulated = "  [black on yellow] simulated [/]" if summary.simulated else ""
    console.print(f"{mark}  [bold]{escape(run.name)}[/] run {run.number}{simulated}")
    counts = ", ".join(f"{count} {state}" for state, count in summary.states.items())
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    facts.add_row("tasks", counts)
    facts.add_row(
        "attempts",
        f"{summary.attempts}: {summary.retries} retries, {summary.escalations} escalations",
    )
    facts.add_row(
        "used",
        f"{summary.messages} messages, {summary.usage.total_tokens:,} tokens, "
        f"{show(Unit.MICROUSD, summary.cost_microusd)}",
    )
    for use in summary.models:
        facts.add_row(
            "",
            f"{use.model}: {use.messages} messages, {use.usage.total_tokens:,} tokens, "
            f"{show(Unit.MICROUSD, use.cost_microusd)}",
        )
    facts.add_row(
        "saved",
        f"{summary.saved:.0%} against the strong model for the same calls "
        f"({show(Unit.MICROUSD, summary.always_strong_microusd)})",
    )
    facts.add_row(
        "time",
        f"{duration(summary.busy_s)}, {summary.speed_up:.1f} times faster than one after another",
    )
    facts.add_row("critical path", escape(" → ".join(summary.critical_path)))
    if result.branch:
        facts.add_row("result", f"branch {escape(result.branch)}")
    for task, branch in result.apart.items():
        facts.add_row("", f"{escape(task)} alone: branch {escape(branch)}")
    facts.add_row("report", escape(_short(report)))
    console.print(facts)
    for remark in result.remarks:
        console.print(f"[yellow]■[/] {escape(remark)}")
    _show_unhappy(console, summary)


def _show_unhappy(console: Console, summary: RunSummary) -> None:
    for task in summary.tasks:
        if task.state in (TaskState.FAILED, TaskState.CANCELLED):
            console.print(f"{state_text(task.state)} {escape(task.id)}: {escape(task.reason)}")


def _short(path: Path) -> str:
    """Relative to where the user stands, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
