"""How the budget looks in a terminal."""

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from helios.cli.live import ZONE_STYLE, gauge_line
from helios.cli.terminal import clock_time, day_and_time, duration
from helios.domain.budget.limit import Balance
from helios.domain.budget.preset import Plan
from helios.domain.budget.spend import SpendTotal
from helios.domain.budget.units import Unit, show
from helios.domain.budget.window import NEVER
from helios.services.forecasting import Outlook
from helios.services.governor import BudgetStatus, ProviderWord

BLOCKS = "▁▂▃▄▅▆▇█"
MOST_ROWS = 8


def show_budget(
    console: Console,
    plan: Plan,
    status: BudgetStatus,
    past: tuple[Balance, ...],
    spent: Mapping[str, tuple[SpendTotal, ...]],
) -> None:
    """A gauge for each limit, the zone and the brake, past windows as a strip, what it went to."""
    style = ZONE_STYLE[status.zone]
    console.print(f"[bold]{plan.name}[/]  {plan.about}")
    console.print(f"zone [{style}]{status.zone}[/]{_brake(status)}\n")
    for gauge in status.gauges:
        console.print(gauge_line(gauge))
        if gauge.provider:
            console.print(_provider_line(gauge.provider))
    sources = sorted({(gauge.source, gauge.age_s) for gauge in status.gauges})
    told = "; ".join(f"{source}, {duration(age)} old" if age else source for source, age in sources)
    console.print(f"\n[dim]source: {told}, as of {clock_time(status.at)}[/]")
    if past:
        strip = "".join(_block(balance) for balance in reversed(past))
        console.print(f"past windows {strip} [dim](newest right, full block = full window)[/]")
    for what, rows in spent.items():
        if rows:
            console.print(_spent(what, rows))


def show_outlooks(console: Console, outlooks: tuple[Outlook, ...]) -> None:
    """A sentence for each window."""
    console.print()
    for outlook in outlooks:
        console.print(f"{escape(outlook.balance.limit.label)}: {escape(outlook.sentence)}")


def show_history(console: Console, key: str, past: tuple[Balance, ...]) -> None:
    """One line a window, the newest first."""
    if not past:
        console.print(f"{escape(key)} has no windows yet")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("opened", "closes", "spent", "of", "used"):
        table.add_column(heading, justify="right" if heading in ("spent", "of", "used") else "left")
    for balance in past:
        limit, window = balance.limit, balance.window
        closes = "never" if window.closes_at == NEVER else day_and_time(window.closes_at)
        table.add_row(
            day_and_time(window.opened_at),
            closes,
            show(limit.unit, balance.spent),
            show(limit.unit, limit.cap),
            f"{balance.used:.0%}",
        )
    console.print(f"[bold]{escape(key)}[/]")
    console.print(table)


def _provider_line(word: ProviderWord) -> str:
    told = f"the provider says {word.used:.0%} ({word.source}, {duration(word.age_s)} old)"
    drift = f"\n  [yellow]{escape(word.drift)}[/]" if word.drift else ""
    return f"  [dim]{told}; {escape(word.conclusion)}[/]{drift}"


def _brake(status: BudgetStatus) -> str:
    if status.brake is None:
        return ""
    until = "" if status.brake.until == NEVER else f" until {clock_time(status.brake.until)}"
    reason = f": {escape(status.brake.reason)}" if status.brake.reason else ""
    return f"  [yellow]brake set by hand: {status.brake.level}{until}{reason}[/]"


def _spent(what: str, rows: tuple[SpendTotal, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(f"\nby {what}", no_wrap=True, max_width=40)
    for heading in ("messages", "tokens", "cost"):
        table.add_column(f"\n{heading}", justify="right")
    for row in rows[:MOST_ROWS]:
        table.add_row(
            escape(row.name) or "-",
            f"{row.messages:,}",
            f"{row.usage.total_tokens:,}",
            show(Unit.MICROUSD, row.cost_microusd),
        )
    if len(rows) > MOST_ROWS:
        table.add_row(f"and {len(rows) - MOST_ROWS} more", "", "", "")
    return table


def _block(balance: Balance) -> str:
    level = min(1.0, balance.used)
    return BLOCKS[min(len(BLOCKS) - 1, int(level * len(BLOCKS)))]
