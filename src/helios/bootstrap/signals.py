"""The status line's way to its parser and its file; the book only when figures are moved there."""

from pathlib import Path
from typing import TYPE_CHECKING

from helios.providers.signals.figures import LONGEST_LINE, Parsed
from helios.providers.signals.inbox import append_signals, drain, note_problem, taking
from helios.providers.signals.statusline import parse_statusline

if TYPE_CHECKING:
    from helios.ports.budget import BudgetBook


async def import_signals(home: Path, book: "BudgetBook") -> int:
    """Move what status lines put aside into the book; how many figures.

    Raises:
        StoreError: the book cannot be written; the figures are offered again.
    """
    with taking(home) as found:
        for signal in found.signals:
            await book.save_signal(signal)
        return len(found.signals)


__all__ = [
    "LONGEST_LINE",
    "Parsed",
    "append_signals",
    "drain",
    "import_signals",
    "note_problem",
    "parse_statusline",
    "taking",
]
