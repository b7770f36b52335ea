"""How the budget looks in a terminal."""

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from helios.cli.ceilings import spans
from helios.cli.live import ZONE_STYLE, gauge_line
from helios.cli.terminal import clock_time, duration
from helios.domain.budget.account import LimitRule
from helios.domain.budget.limit import Balance
from helios.domain.budget.preset import Plan
from helios.domain.budget.spend import SpendTotal
from helios.domain.budget.window import NEVER
from helios.domain.pricing import MICRO
from helios.services.forecasting import Outlook
from helios.services.governor import BudgetStatus, ProviderWord

BLOCKS = "▁▂▃▄▅▆▇█"
MOST_ROWS = 8
SHOWN_FROM_MICROUSD = 100


def show_budget(
    console: Console,
    plan: Plan,
    status: BudgetStatus,
    past: tuple[Balance, ...],
    spent: Mapping[str, tuple[SpendTotal, ...]],
    rules: Mapping[str, LimitRule],
) -> None:
    """A gauge for each limit, the zone and the brake, the windows as a strip, what it went to.

    `rules` are the ceilings people set, by the keys of their limits.
    """
    style = ZONE_STYLE[status.zone]
    console.print(f"[bold]{plan.name}[/]  {plan.about}")
    console.print(f"zone [{style}]{status.zone}[/]{_brake(status)}\n")
    for gauge in status.gauges:
        rule = rules.get(gauge.key)
        span, after = spans(rule, gauge) if rule else ("", "")
        console.print(gauge_line(gauge, status.at, span, after))
        if gauge.provider:
            console.print(_provider_line(gauge.provider))
    sources = sorted({(gauge.source, gauge.age_s) for gauge in status.gauges})
    told = "; ".join(f"{source}, {duration(age)} old" if age else source for source, age in sources)
    console.print(f"\n[dim]source: {told}, as of {clock_time(status.at, status.at)}[/]")
    if past:
        strip = "".join(_block(balance) for balance in reversed(past))
        console.print(f"windows {strip} [dim](newest right, full block = full window)[/]")
    for what, rows in spent.items():
        if rows:
            console.print(_spent(what, rows))


def show_outlooks(console: Console, outlooks: tuple[Outlook, ...]) -> None:
    """A sentence for each window."""
    console.print()
    for outlook in outlooks:
        console.print(f"{escape(outlook.balance.limit.label)}: {escape(outlook.sentence)}")


def _provider_line(word: ProviderWord) -> str:
    told = f"the provider says {word.used:.0%} ({word.source}, {duration(word.age_s)} old)"
    drift = f"\n  [yellow]{escape(word.drift)}[/]" if word.drift else ""
    return f"  [dim]{told}; {escape(word.conclusion)}[/]{drift}"


def _brake(status: BudgetStatus) -> str:
    if status.brake is None:
        return ""
    ends = clock_time(status.brake.until, status.at)
    until = "" if status.brake.until == NEVER else f" until {ends}"
    reason = f": {escape(status.brake.reason)}" if status.brake.reason else ""
    return f"  [yellow]brake set by hand: {status.brake.level}{until}{reason}[/]"


def _spent(what: str, rows: tuple[SpendTotal, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(f"\nby {what}", no_wrap=True, max_width=40)
    for heading in ("messages", "tokens", "cost"):
        table.add_column(f"\n{heading}", justify="right")
    for row in rows[:MOST_ROWS]:
        table.add_row(
            escape(row.name) or "[dim](none)[/]",
            f"{row.messages:,}",
            f"{row.usage.total_tokens:,}",
            _cost(row.cost_microusd),
        )
    if len(rows) > MOST_ROWS:
        table.add_row(f"and {len(rows) - MOST_ROWS} more", "", "", "")
    return table


def _cost(microusd: int) -> str:
    """With as many decimals in every row of a column."""
    if 0 < microusd < SHOWN_FROM_MICROUSD:
        return f"<${SHOWN_FROM_MICROUSD / MICRO:.4f}"
    return f"${microusd / MICRO:,.4f}"


def _block(balance: Balance) -> str:
    level = min(1.0, balance.used)
    return BLOCKS[min(len(BLOCKS) - 1, int(level * len(BLOCKS)))]
