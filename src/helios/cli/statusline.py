"""statusline: one line for Claude Code's status bar, and the provider's figures put aside.

Runs several times a second inside somebody else's screen: starts in well under 100 ms (no database,
no event loop, no table of commands) and never breaks the bar. Whatever happens, it prints one short
plain line and ends with 0; what was wrong goes to `signals.log` in Helios's folder.
"""

import sys
from pathlib import Path
from typing import BinaryIO

from helios.bootstrap.signals import (
    LONGEST_LINE,
    Parsed,
    append_signals,
    note_problem,
    parse_statusline,
)
from helios.config import load_settings
from helios.domain.budget.signal import Signal
from helios.errors import HeliosError
from helios.ports.clock import Clock
from helios.telemetry.system_clock import SystemClock

SHORT_NAMES = {"five_hour": "5h", "seven_day": "7d"}
NOT_READ = "helios: no figures in this update"
NOT_KEPT = " (not kept)"


def statusline() -> int:
    """Keep the limits Claude Code hands a status line on stdin, and print them in one line."""
    if sys.stdin.isatty():
        print('Claude Code runs this: "statusLine": {"type": "command", "command": ...}')
        return 0
    try:
        home = load_settings().home
    except HeliosError:
        # The settings say where the log is, so there is nowhere to note it; `helios doctor` tells.
        print("helios: settings unreadable")
        return 0
    print(line_for(sys.stdin.buffer, home, SystemClock()))
    return 0


def line_for(told: BinaryIO, home: Path, clock: Clock) -> str:
    """Put aside what one update says; the line to show. Never raises for what it reads."""
    at = clock.now()
    try:
        text = told.read(LONGEST_LINE + 1)
    except OSError as error:
        return NOT_READ + _note(home, f"stdin: {error}", at)
    parsed = parse_statusline(text, at)
    if parsed is None:
        return NOT_READ + _note(home, f"{len(text)} bytes on stdin are no JSON object", at)
    kept = _keep(parsed, home, at)
    return shown(parsed.signals, at) + kept


def shown(signals: tuple[Signal, ...], now: float) -> str:
    """Windows as a bar has room for, rounded down as by the provider: "5h 24% (2h10m) | 7d 41%"."""
    if not signals:
        return "helios: no limits reported yet"
    return " | ".join(
        f"{SHORT_NAMES.get(s.window, s.window)} {_percent(s.used)}{_left(s.resets_at, now)}"
        for s in signals[:4]
    )


def _percent(used: float) -> str:
    return f"{int(used * 100 + 1e-6)}%"


def _left(resets_at: float | None, now: float) -> str:
    if resets_at is None or resets_at <= now:
        return ""
    minutes = int(resets_at - now) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f" ({days}d{hours}h)"
    return f" ({hours}h{minutes % 60:02}m)"


def _keep(parsed: Parsed, home: Path, at: float) -> str:
    noted = ""
    if parsed.ignored:
        noted = _note(home, f"{parsed.ignored} figures ignored: not possible", at)
    try:
        if parsed.signals:
            append_signals(home, parsed.signals)
    except OSError as error:
        _note(home, f"signals not kept: {error}", at)
        return NOT_KEPT
    return noted


def _note(home: Path, problem: str, at: float) -> str:
    """Write to the log; what the bar shows when even that fails."""
    try:
        note_problem(home, problem, at)
    except OSError:
        return NOT_KEPT
    return ""
