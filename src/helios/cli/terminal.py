"""Data to stdout, talk to stderr; colour only on a terminal that wants it."""

import json
import time as _calendar
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

from rich.console import Console
from rich.markup import escape

from helios.domain.budget.window import NEVER
from helios.domain.workflow.states import TaskState
from helios.errors import BudgetExhausted, HeliosError, ProjectFileError

STATE_LOOKS: dict[TaskState, tuple[str, str]] = {
    TaskState.WAITING: ("◌", "dim"),
    TaskState.READY: ("○", "cyan"),
    TaskState.RUNNING: ("●", "bold blue"),
    TaskState.NEEDS_YOU: ("◆", "bold magenta"),
    TaskState.DONE: ("✓", "green"),
    TaskState.FAILED: ("✗", "bold red"),
    TaskState.CANCELLED: ("⊘", "yellow"),
}
"""Icon and colour of each state; the word is always shown beside them."""


DAY_S = 86_400.0
MOST_SUGGESTED = 8


def out() -> Console:
    """Where results go."""
    return Console(highlight=False, soft_wrap=False)


def talk() -> Console:
    """Where messages for people go."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(data: Any) -> None:
    """One JSON document on a line of stdout, at once."""
    print(json.dumps(data, ensure_ascii=False), flush=True)


print_line = print_json


def say_error(error: HeliosError, *, as_json: bool) -> None:
    """An error for people on stderr, or for programs on stdout."""
    if as_json:
        print_json(error_to_json(error))
        return
    console = talk()
    if isinstance(error, ProjectFileError):
        from helios.services.projects import render

        console.print(escape(render(error.problems, width=console.width)), end="\n\n")
    console.print(f"[bold red]✗[/] {escape(error.message)}")
    if isinstance(error, BudgetExhausted) and error.resets_at is not None:
        console.print(f"  The window resets at {day_and_time(error.resets_at)}.")
    if error.next_step:
        console.print(f"  {escape(error.next_step)}")


def error_to_json(error: HeliosError) -> dict[str, Any]:
    """An error as plain data."""
    data: dict[str, Any] = {
        "schema": 1,
        "error": error.code,
        "message": error.message,
        "next_step": error.next_step,
    }
    if isinstance(error, BudgetExhausted):
        data["resets_at"] = error.resets_at
    if isinstance(error, ProjectFileError):
        from helios.services.projects import problem_to_json

        data["problems"] = [problem_to_json(problem) for problem in error.problems]
    return data


def suggestion(word: str, known: Collection[str]) -> str:
    """What somebody may have meant who named something that is not there."""
    close = get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    shown = ", ".join(sorted(known)[:MOST_SUGGESTED]) or "none"
    more = len(known) - MOST_SUGGESTED
    return f"There are: {shown}{f' and {more} more' if more > 0 else ''}."


def next_command(text: str) -> None:
    """The command that is most likely wanted now."""
    talk().print(f"[dim]next:[/] {text}")


def clock_time(at: float | None, now: float) -> str:
    """A UTC time in the user's own zone, as HH:MM, with the date when it is not within a day."""
    if at is None or at == NEVER:
        return "never"
    if abs(at - now) >= DAY_S:
        return day_and_time(at)
    return _calendar.strftime("%H:%M", _calendar.localtime(at))


def day_and_time(at: float) -> str:
    """A UTC time in the user's own zone, as 2027-01-31 14:05."""
    return _calendar.strftime("%Y-%m-%d %H:%M", _calendar.localtime(at))


def duration(seconds: float) -> str:
    """1.2s, 34s, 5m 10s, 2h 05m."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 60:
        return f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    return f"{minutes // 60}h {minutes % 60:02d}m"


def state_text(state: TaskState) -> str:
    """Icon, word and colour of a state, as markup."""
    icon, style = STATE_LOOKS[state]
    return f"[{style}]{icon} {state}[/]"
