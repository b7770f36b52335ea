"""How a plan looks in a terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from helios.cli.terminal import day_and_time, duration
from helios.domain.budget.units import Unit, show
from helios.domain.workflow.spec import ProjectSpec
from helios.services.planner import PlannedTask, ProjectPlan


def show_plan(console: Console, spec: ProjectSpec, plan: ProjectPlan) -> None:
    """The groups in order, one line a task, then what all of it takes and whether it fits."""
    console.print(f"[bold]{escape(spec.name)}[/]  {escape(spec.goal)}\n")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("group", justify="right", no_wrap=True)
    table.add_column("task", no_wrap=True, max_width=28)
    table.add_column("by", no_wrap=True, max_width=12)
    table.add_column("model and why")
    critical = set(plan.critical_path)
    for number, group in enumerate(plan.groups, start=1):
        for place, task in enumerate(group):
            planned = plan.tasks[task]
            mark = "[bold]" if task in critical else ""
            table.add_row(
                str(number) if place == 0 else "",
                f"{mark}{escape(task)}",
                escape(planned.task.kind),
                _why(planned),
            )
    console.print(table)
    _show_sums(console, spec, plan)


def _ending(plan: ProjectPlan) -> str:
    end = plan.ending
    if end is None or end.p50 is None:
        return "\nthe plan's windows never leave enough room for all of it"
    latest = "later than can be told" if end.p90 is None else day_and_time(end.p90)
    many = f", across {end.windows.p50:.0f} windows" if end.windows and end.windows.p50 > 1 else ""
    return f"\ndone about {day_and_time(end.p50)}, nine times in ten by {latest}{many}"


def _why(planned: PlannedTask) -> str:
    if planned.route is None:
        return "[dim]no model[/]"
    return escape(planned.route.choice.reason)


def _show_sums(console: Console, spec: ProjectSpec, plan: ProjectPlan) -> None:
    ahead = plan.forecast
    cost = [
        show(Unit.MICROUSD, round(x)) for x in (ahead.cost_microusd.p50, ahead.cost_microusd.p90)
    ]
    console.print(f"\n{len(plan.tasks)} tasks, {spec.parallel} at a time, critical path in bold")
    sums = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("expected", "P50", "P90"):
        sums.add_column(heading, justify="left" if heading == "expected" else "right")
    sums.add_row("messages", f"{ahead.messages.p50:g}", f"{ahead.messages.p90:g}")
    sums.add_row("cost", *cost)
    sums.add_row("time", duration(ahead.seconds.p50), duration(ahead.seconds.p90))
    console.print(sums)
    console.print(_ending(plan))
    if plan.fits:
        console.print(f"\n[green]✓[/] {plan.verdict}")
        return
    console.print(f"\n[bold red]✗[/] {escape(plan.verdict)}")
    if plan.resets_at is not None:
        console.print(f"  This window resets at {day_and_time(plan.resets_at)}.")
