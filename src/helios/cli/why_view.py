"""How the reasons of a task look in a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from helios.cli.terminal import duration, state_text
from helios.domain.workflow.states import TaskState


def show_why(console: Console, answer: Mapping[str, Any]) -> None:
    """State and reason, the place in the queue, the model's choice, every attempt."""
    console.print(f"[bold]{escape(answer['task'])}[/]  {state_text(TaskState(answer['state']))}")
    console.print(f"{escape(answer['reason'])}\n")
    if answer["missing"]:
        console.print(f"waits for: {escape(', '.join(answer['missing']))}\n")
    if answer["rank"]:
        parts = ", ".join(
            f"{name} {points:+.1f}" for name, points in answer["rank"]["parts"].items()
        )
        console.print(f"place in the queue: score {answer['rank']['score']:.1f} ({parts})\n")
    if answer["choice"]:
        _show_choice(console, answer["choice"])
    for attempt in answer["attempts"]:
        _show_attempt(console, attempt)


def _show_choice(console: Console, choice: Mapping[str, Any]) -> None:
    console.print(f"model: [bold]{choice['model']}[/] (confidence {choice['confidence']:.0%})")
    console.print(f"  {escape(choice['reason'])}\n")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("factor", "value", "weight", "points", "because"):
        numeric = heading in ("value", "weight", "points")
        table.add_column(heading, justify="right" if numeric else "left")
    for factor in choice["factors"]:
        table.add_row(
            factor["name"],
            f"{factor['value']:.1f}",
            f"{factor['weight']:.0%}",
            f"{factor['points']:.2f}",
            escape(factor["because"]),
        )
    table.add_row("[bold]score[/]", "", "", f"[bold]{choice['score']:.2f}[/]", "")
    console.print(table)
    console.print("\nalternatives, one attempt each:")
    others = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
    for other in choice["alternatives"]:
        others.add_row(
            other["model"], other["tier"], f"${other['cost_usd']:.4f}",
            f"succeeds {other['success']:.0%}",
        )  # fmt: skip
    console.print(others)


def _show_attempt(console: Console, attempt: Mapping[str, Any]) -> None:
    took = attempt["seconds"]
    length = f", {duration(took)}" if took is not None else ""
    by = attempt["model"] or "no model"
    ended = attempt["failure"] or ("accepted" if took is not None else "at work")
    console.print(f"\nattempt {attempt['number']} ({by}{length}): {ended}")
    for line in (attempt["detail"] or "").strip().splitlines()[-8:]:
        console.print(f"  [dim]{escape(line)}[/]")
