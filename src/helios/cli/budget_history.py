"""budget history: the windows of one limit."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from helios.cli.ceilings import SIMULATED, by_key
from helios.cli.options import AsJson, SettingFlags, go
from helios.cli.terminal import day_and_time, out, print_json, suggestion
from helios.domain.budget.account import LimitRule
from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.units import show
from helios.domain.budget.window import NEVER
from helios.errors import UsageError

if TYPE_CHECKING:
    from helios.bootstrap.house import Desk


def history(
    limit: Annotated[
        str, Parameter(help="A ceiling's name, or the key of a limit; the plan's first without.")
    ] = "",
    *,
    account: Annotated[
        str | None, Parameter(help="Whose ceiling, where several have one of this name.")
    ] = None,
    most: Annotated[int, Parameter(help="So many windows.")] = 24,
    json: AsJson = False,
    flags: SettingFlags | None = None,
) -> int:
    """Show the windows of a limit, the newest first."""
    if most < 1:
        raise UsageError(f"--most {most}: one window is the least", next_step="Example: --most 24")
    return go(_history(limit, account, most, as_json=json, flags=flags or SettingFlags()))


async def _history(
    word: str, account: str | None, most: int, *, as_json: bool, flags: SettingFlags
) -> int:
    from helios.bootstrap.house import open_house

    async with open_house(flags.settings()) as house:
        now = house.clock.now()
        desk = await house.desk()
        # Books outlive their ceiling: whoever knows the key may still read them.
        past = await desk.governor.history(word, most) if word and account is None else ()
        key, label = (word, word) if past else _meant(desk, word, account)
        past = past or await desk.governor.history(key, most)
    if as_json:
        windows = [_window_to_json(balance) for balance in past]
        print_json({"schema": 1, "limit": key, "label": label, "windows": windows})
    else:
        show_history(out(), label, past, now)
    return 0


def _meant(desk: "Desk", word: str, account: str | None) -> tuple[str, str]:
    """The key and the label of the limit that is meant.

    Raises:
        UsageError: there is none, or several.
    """
    limits = desk.governor.ceilings.of_everybody()
    rules = by_key(desk.governor.ceilings.rules, simulated=desk.simulated)
    if not word and account is None:
        return limits[0].key, limits[0].label
    found = [limit for limit in limits if _is_meant(limit, rules, word, account)]
    if len(found) == 1:
        return found[0].key, found[0].label
    whose = "" if account is None else f" of {account or 'everybody'}"
    if found:
        labels = ", ".join(limit.label for limit in found)
        raise UsageError(f"{word!r}{whose} may be {labels}", next_step="--account says whose.")
    known = [limit.label for limit in limits]
    raise UsageError(f"there is no limit {word!r}{whose}", next_step=suggestion(word, known))


def _is_meant(limit: Limit, rules: Mapping[str, LimitRule], word: str, account: str | None) -> bool:
    rule = rules.get(limit.key)
    if account is not None and (rule is None or rule.account != account):
        return False
    names = [limit.key, limit.key.removeprefix(SIMULATED), limit.label]
    return not word or word in (names if rule is None else [*names, rule.name])


def show_history(console: Console, label: str, past: Sequence[Balance], now: float) -> None:
    """One line a window, the newest first; the one that is open says so."""
    if not past:
        console.print(f"{escape(label)} has no windows yet")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("opened", "closes", "spent", "of", "used"):
        table.add_column(heading, justify="right" if heading in ("spent", "of", "used") else "left")
    for balance in past:
        limit, window = balance.limit, balance.window
        closes = "never" if window.closes_at == NEVER else day_and_time(window.closes_at)
        table.add_row(
            day_and_time(window.opened_at),
            f"{closes}, open" if window.covers(now) else closes,
            show(limit.unit, balance.spent),
            show(limit.unit, limit.cap),
            f"{balance.used:.0%}",
        )
    console.print(f"[bold]{escape(label)}[/]")
    console.print(table)


def _window_to_json(balance: Balance) -> dict[str, object]:
    window = balance.window
    return {
        "opened_at": window.opened_at,
        "closes_at": None if window.closes_at == NEVER else window.closes_at,
        "spent": balance.spent,
        "held": balance.held,
        "breach": balance.breach,
        "cap": balance.limit.cap,
        "unit": str(balance.limit.unit),
    }
