"""The live view of a run: gauges, tasks by state with their reasons, cost, forecast end."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from helios.cli.terminal import STATE_LOOKS, clock_time, duration, state_text
from helios.domain.budget.units import Unit, show
from helios.domain.budget.zones import Health, Zone
from helios.domain.workflow.states import RunState, TaskState
from helios.ports.events import RunEvent
from helios.ports.runs import TaskRecord
from helios.services.execution import LiveProject
from helios.services.governor import Gauge
from helios.services.progress import Progress, ProgressReader

FRAME_S = 0.2
BAR_WIDTH = 16
LONGEST_NAME = 28
STATE_WIDTH = 11
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
HEALTH_STYLE = {Health.GREEN: "green", Health.YELLOW: "yellow", Health.RED: "red"}
ZONE_STYLE = {Zone.NORMAL: "green", Zone.THROTTLE: "yellow", Zone.CRITICAL: "bold red"}
SHOWN_ORDER = (
    TaskState.NEEDS_YOU,
    TaskState.RUNNING,
    TaskState.FAILED,
    TaskState.READY,
    TaskState.WAITING,
    TaskState.CANCELLED,
    TaskState.DONE,
)


class LiveView:
    """Redraws at most five times a second on a terminal; off one, a line for each change."""

    def __init__(self, reader: ProgressReader, project: LiveProject, *, as_json: bool) -> None:
        self._reader = reader
        self._project = project
        self._silent = as_json
        self._console = Console(stderr=True, highlight=False)

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Show the run while the block runs."""
        if self._silent:
            yield
            return
        if not self._console.is_terminal:
            self._console.print(_headline(await self._reader.read(self._project)))
            yield
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            drawing = asyncio.ensure_future(self._draw(live))
            try:
                yield
            finally:
                drawing.cancel()
                await asyncio.gather(drawing, return_exceptions=True)

    def note(self, event: RunEvent) -> None:
        """Off a terminal: say what moved."""
        if self._silent or self._console.is_terminal or event.kind != "task":
            return
        state = TaskState(event.data["state"])
        icon = STATE_LOOKS[state][0]
        self._console.print(
            f"{icon} {event.task}: {state} ({event.data['reason']})", markup=False, soft_wrap=True
        )

    async def _draw(self, live: Live) -> None:
        for frame in itertools.count():
            progress = await self._reader.read(self._project)
            height = max(6, self._console.height - 9)
            live.update(render(progress, height, SPINNER[frame % 10]), refresh=True)
            await asyncio.sleep(FRAME_S)


def render(progress: Progress, height: int, spinner: str = "●") -> RenderableType:
    """One picture of a run, at most `height` task lines long."""
    return Group(
        _headline(progress),
        _bar(progress),
        *_gauges(progress),
        Text(),
        _tasks(progress, height, spinner),
    )


def _headline(progress: Progress) -> Table:
    run = progress.run
    line = Table.grid(expand=True)
    line.add_column()
    line.add_column(justify="right", no_wrap=True)
    label = f"[bold]{escape(run.name)}[/] run {run.number}"
    if run.simulated:
        label += "  [black on yellow] simulated [/]"
    sandbox = "" if run.sandbox == "strict" else f"  [red]sandbox: {run.sandbox}[/]"
    age = duration((run.finished_at or progress.at) - run.created_at)
    line.add_row(f"[bold yellow]☀[/] {label}{sandbox}", f"[dim]{age}[/]")
    return line


def _bar(progress: Progress) -> Table:
    done = sum(count for state, count in progress.states.items() if state.final)
    total = len(progress.tasks)
    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_row(
        _meter(done / max(1, total), "blue"),
        f"{done}/{total} tasks",
        f"{progress.messages} messages",
        show(Unit.MICROUSD, progress.cost_microusd),
        f"[dim]{_end(progress)}[/]",
    )
    return line


def _end(progress: Progress) -> str:
    if progress.run.finished_at is not None:
        return f"ended {clock_time(progress.run.finished_at, progress.at)}"
    if progress.run.state is RunState.STOPPED or progress.ends_at is None:
        return str(progress.run.state)
    left_s = max(0.0, progress.ends_at - progress.at)
    return f"ends about {clock_time(progress.ends_at, progress.at)}, in {duration(left_s)}"


def _gauges(progress: Progress) -> list[RenderableType]:
    shown = (gauge for gauge in progress.budget.gauges if "strong" not in gauge.key)
    return [gauge_line(gauge, progress.at) for gauge in shown]


def gauge_line(gauge: Gauge, now: float, span: str = "", after: str = "") -> RenderableType:
    """One limit: a bar, its figures, its zone as a word and a colour, when it resets.

    Args:
        gauge: how full it is.
        now: the time it is seen at, UTC seconds.
        span: its period in words, where its name does not tell.
        after: its period from the next window on, where this one is still of another.
    """
    figures = [f"{escape(' '.join((_amounts(gauge), span)).strip())} ({gauge.used:.0%})"]
    if gauge.zoned and gauge.resets_at:
        figures.append(f"[{ZONE_STYLE[gauge.zone]}]{gauge.zone}[/]")
    if gauge.resets_at:
        figures.append(f"[dim]resets {clock_time(gauge.resets_at, now)}{after}[/]")
    meter = _meter(gauge.used, HEALTH_STYLE[gauge.health])
    return _GaugeLine(meter, Text(gauge.label), Text.from_markup("  ".join(figures)))


@dataclass(frozen=True, slots=True)
class _GaugeLine:
    """A limit on one line, or on two where it does not fit."""

    meter: Text
    label: Text
    figures: Text

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        name = Text("  ").join((self.meter, self.label))
        whole = Text(" ").join((name, self.figures))
        if whole.cell_len <= options.max_width:
            yield whole
            return
        named = Table.grid(Column(width=BAR_WIDTH + 2), Column(overflow="fold"))
        named.add_row(self.meter, self.label)
        yield named
        indent = min(BAR_WIDTH + 2, max(0, options.max_width - self.figures.cell_len))
        yield Text(" " * indent) + self.figures


def _meter(share: float, style: str) -> Text:
    """A bar that can be read without colour."""
    filled = round(min(1.0, share) * BAR_WIDTH)
    return Text.assemble(("━" * filled, style), ("╌" * (BAR_WIDTH - filled), "grey35"))


def _amounts(gauge: Gauge) -> str:
    used = show(gauge.unit, gauge.spent + gauge.held).partition(" ")[0]
    return f"{used}/{show(gauge.unit, gauge.cap)}"


def _tasks(progress: Progress, height: int, spinner: str) -> Table:
    widest = max((cell_len(task.id) for task in progress.tasks), default=0)
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True, width=min(widest, LONGEST_NAME), overflow="ellipsis")
    table.add_column(no_wrap=True, width=STATE_WIDTH)
    table.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
    ordered = sorted(progress.tasks, key=lambda task: SHOWN_ORDER.index(task.state))
    shown = ordered if len(ordered) <= height else ordered[: height - 1]
    for task in shown:
        table.add_row(escape(task.id), _state(task, spinner), f"[dim]{escape(reason_of(task))}[/]")
    if len(shown) < len(ordered):
        table.add_row(f"[dim]and {len(ordered) - len(shown)} more[/]", "", "")
    return table


def _state(task: TaskRecord, spinner: str) -> str:
    if task.state is TaskState.RUNNING:
        return f"[bold blue]{spinner} running[/]"
    return state_text(task.state)


def reason_of(task: TaskRecord) -> str:
    """Why a task is where it is, in one line."""
    if task.state is TaskState.DONE and task.output:
        return next((line for line in task.output.splitlines() if line.strip()), task.reason)[:200]
    return task.reason
