"""budget export: what was spent, for a spreadsheet or a program."""

import csv
import io
import json as jsonlib
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from helios.cli.options import AsJson, SettingFlags, go
from helios.cli.terminal import print_json, talk
from helios.domain.budget.spend import SpendBy, SpendTotal
from helios.domain.pricing import MICRO
from helios.domain.usage import Usage
from helios.errors import UsageError

DAY_S = 86_400.0
NAMELESS = "(none)"


def export(
    *,
    by: SpendBy = "model",
    days: Annotated[float, Parameter(help="How far back.")] = 30.0,
    kind: Annotated[Literal["csv", "json"], Parameter(name="--format")] = "csv",
    to: Annotated[Path | None, Parameter(help="A file; stdout without.")] = None,
    json: AsJson = False,
    flags: SettingFlags | None = None,
) -> int:
    """Write what was spent, by model, project, agent, task, account or tier.

    `--format json` is the rows alone; `--json` is one document that says what they are.
    """
    if not (isfinite(days) and days > 0):
        raise UsageError(f"--days {days:g} is not possible", next_step="Example: --days 7")
    return go(_export(by, days, "document" if json else kind, to, flags or SettingFlags()))


async def _export(by: SpendBy, days: float, kind: str, to: Path | None, flags: SettingFlags) -> int:
    from helios.bootstrap.house import open_house

    async with open_house(flags.settings()) as house:
        until = house.clock.now() + 1.0
        since = until - 1.0 - days * DAY_S
        desk = await house.desk()
        rows = [total_to_json(row) for row in await desk.spending.by(by, since, until)]
    document = {
        "schema": 1,
        "by": by,
        "since": since,
        "until": until,
        "simulated": desk.simulated,
        "rows": rows,
    }
    if kind == "document" and to is None:
        print_json(document)
        return 0
    told = document if kind == "document" else rows
    _write(_csv(rows) if kind == "csv" else _as_text(told), to)
    return 0


def total_to_json(row: SpendTotal) -> dict[str, Any]:
    """A sum as plain data; money in US dollars."""
    return {
        "name": row.name,
        "messages": row.messages,
        **asdict(row.usage),
        "cost_usd": row.cost_microusd / MICRO,
    }


def _as_text(told: Any) -> str:
    return jsonlib.dumps(told, ensure_ascii=False, indent=2) + "\n"


def _write(text: str, to: Path | None) -> None:
    if to is None:
        print(text, end="")
        return
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{to}: {error.strerror}", next_step="Name another file.") from error
    talk().print(f"[green]✓[/] wrote {to}")


def _csv(rows: list[dict[str, Any]]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(total_to_json(SpendTotal("", 0, Usage(), 0))),
                            lineterminator="\n")  # fmt: skip
    writer.writeheader()
    writer.writerows(
        {**row, "name": _plain(row["name"]), "cost_usd": f"{row['cost_usd']:.6f}"} for row in rows
    )
    return file.getvalue()


def _plain(name: str) -> str:
    """A name that a spreadsheet would take for a formula is made plain text."""
    return f"'{name}" if name[:1] in ("=", "+", "-", "@", "\t", "\r") else name or NAMELESS
