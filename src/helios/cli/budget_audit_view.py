"""How books that differ from their entries look in a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from helios.cli.terminal import day_and_time
from helios.domain.budget.units import Unit
from helios.domain.pricing import MICRO
from helios.ports.audit import Findings, Mismatch

FIGURES = ("spent", "held", "breach")


def show_mismatches(console: Console, mismatches: Sequence[Mismatch]) -> None:
    """For each window its limit, and what is booked beside what its calls add up to."""
    for wrong in mismatches:
        name = wrong.label or wrong.limit_key
        console.print(f"[bold]{escape(name)}[/], window of {day_and_time(wrong.opened_at)}")
        if wrong.label:
            console.print(f"  [dim]{escape(wrong.limit_key)}[/]")
        console.print(_figures(wrong))


def verdict(found: Findings) -> str:
    """Whether the books are right, in a line, as markup."""
    count = len(found.mismatches)
    if not count:
        return f"[green]✓[/] {_all_agree(found)}"
    verb = "does" if count == 1 else "do"
    told = f"{count} of {_counted(found.windows, 'window')} {verb} not agree with their calls"
    return f"[bold red]✗[/] {told}{_gone(found)}"


def outcome(done: Findings) -> str:
    """What rebuilding changed, in a line, as markup."""
    if not done.mismatches:
        return f"[green]✓[/] {_all_agree(done)}; nothing was changed"
    changed = sum(1 for wrong in done.mismatches if wrong.booked)
    mark = "[green]✓[/]" if changed == len(done.mismatches) else "[bold red]✗[/]"
    return f"{mark} {_counted(changed, 'window')} written anew{_gone(done)}"


def exact(unit: Unit | None, amount: int) -> str:
    """An amount to the last digit, because books may differ by no more: "$1.250001"."""
    match unit:
        case Unit.MICROUSD:
            return f"${_decimal(amount, MICRO, 2)}"
        case Unit.MILLIPOINTS:
            return f"{_decimal(amount, 1000, 0)} points"
        case None:
            return f"{amount:,}"
        case _:
            return f"{amount:,} {unit.value[:-1] if amount == 1 else unit.value}"


def _decimal(amount: int, scale: int, places: int) -> str:
    whole, rest = divmod(abs(amount), scale)
    digits = f"{rest:0{len(str(scale)) - 1}d}".rstrip("0").ljust(places, "0")
    return f"{'-' * (amount < 0)}{whole:,}{'.' * bool(digits)}{digits}"


def _figures(wrong: Mismatch) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("", "", "booked", "calls add up to", ""):
        table.add_column(heading, justify="left" if heading == "" else "right")
    for name in FIGURES:
        right = getattr(wrong.added_up, name)
        booked = getattr(wrong.booked, name) if wrong.booked else None
        shown = "no books" if booked is None else exact(wrong.unit, booked)
        mark = "" if booked == right else "[bold red]≠[/]"
        table.add_row("", name, shown, exact(wrong.unit, right), mark)
    return table


def _all_agree(found: Findings) -> str:
    windows, limits = _counted(found.windows, "window"), _counted(found.limits, "limit")
    return f"all books agree with their calls: {windows} of {limits}"


def _gone(found: Findings) -> str:
    gone = sum(1 for wrong in found.mismatches if wrong.booked is None)
    if not gone:
        return ""
    return (
        f"\n  {_counted(gone, 'window')} without books: the next call on the limit opens those of"
        " an open\n  window, to be rebuilt then; others come from a backup"
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
