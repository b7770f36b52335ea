"""Whether Helios's books say what the simulator's meter says; a run is void when they do not."""

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from helios.domain.usage import Usage
from helios.providers.prices import load_catalogue

KINDS = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")
Sums = Counter[str]


def metered(billed: list[dict[str, Any]]) -> Sums:
    """Calls, tokens and cost by the simulator's meter and the price list."""
    catalogue = load_catalogue(None, datetime.now(UTC))
    sums: Sums = Counter()
    for answer in billed:
        usage = Usage(**answer["usage"])
        cost = catalogue.model(answer["model"]).cost_microusd(usage)
        sums.update({"calls": 1, "cost_microusd": cost, "ceiling_microusd": cost})
        sums.update({kind: getattr(usage, kind) for kind in KINDS})
    return sums


def booked(home: Path) -> Sums:
    """The same by Helios's books, what stands on the key's ceiling, and what is still open."""
    columns = ", ".join(f"COALESCE(SUM({kind}), 0)" for kind in ("cost_microusd", *KINDS))
    with closing(sqlite3.connect(f"file:{home}/helios.db?mode=ro", uri=True)) as database:
        row = database.execute(f"SELECT COUNT(*), {columns} FROM spends").fetchone()
        open_ = "SELECT COUNT(*) FROM ledger_entries WHERE state IN ('held', 'sent')"
        (held,) = database.execute(open_).fetchone()
        charged = "SELECT SUM(spent) FROM ledger_balances WHERE unit = 'microusd'"
        (ceiling,) = database.execute(charged).fetchone()
    sums = dict(zip(("calls", "cost_microusd", *KINDS), row, strict=True))
    return Counter({**sums, "open": held, "ceiling_microusd": ceiling or 0})


def differences(home: Path, billed: list[dict[str, Any]]) -> list[str]:
    """What is not equal."""
    theirs, ours = metered(billed), booked(home)
    return [
        f"{name}: booked {ours[name]:,}, metered {theirs[name]:,}"
        for name in ("calls", "cost_microusd", *KINDS, "ceiling_microusd", "open")
        if ours[name] != theirs[name]
    ]
