"""How the budget looks in a terminal."""

from rich.console import Console

from helios.cli.live import ZONE_STYLE, gauge_line
from helios.cli.terminal import clock_time
from helios.domain.budget.limit import Balance
from helios.domain.budget.preset import Plan
from helios.services.governor import BudgetStatus

BLOCKS = "▁▂▃▄▅▆▇█"


def show_budget(
    console: Console, plan: Plan, status: BudgetStatus, past: tuple[Balance, ...]
) -> None:
    """A gauge for each limit, the zone, and past windows as a strip."""
    style = ZONE_STYLE[status.zone]
    console.print(f"[bold]{plan.name}[/]  {plan.about}")
    console.print(f"zone [{style}]{status.zone}[/]\n")
    for gauge in status.gauges:
        console.print(gauge_line(gauge))
    source = status.gauges[0].source if status.gauges else ""
    console.print(f"\n[dim]source: {source}, as of {clock_time(status.at)}; "
                  "use of the same plan outside Helios is not seen yet[/]")  # fmt: skip
    if past:
        strip = "".join(_block(balance) for balance in reversed(past))
        console.print(f"past windows {strip} [dim](newest right, full block = full window)[/]")


def _block(balance: Balance) -> str:
    level = min(1.0, balance.used)
    return BLOCKS[min(len(BLOCKS) - 1, int(level * len(BLOCKS)))]
