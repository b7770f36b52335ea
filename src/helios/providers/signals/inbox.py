"""Signals put aside in a file until somebody takes them into the book.

The status line runs several times a second, in its own process, and must not wait for a database.
It appends to `signals.jsonl`; who owns the book takes the file. Two locks, both on files of their
own: `signals.lock` is held for an append or a rename only, `signals.taking` for as long as somebody
imports, so that an import never delays a status line.

Promises: what was appended is taken once, whatever runs at the same time; an import that fails or
dies is offered again, whole (storing a signal twice changes nothing). A half-written line is
ignored and counted.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from helios.domain.budget.signal import Signal
from helios.providers.signals.figures import Parsed, json_object, lines_of, moment, name, share

LARGEST = 4 << 20
"""Bytes that wait at most. When nobody ever takes them, the oldest are dropped."""
LARGEST_LOG = 256 << 10
UNCHANGED_S = 60.0
"""An unchanged figure is appended again after so many seconds, not at every redraw."""
_TAIL = 4096


def append_signals(home: Path, signals: Sequence[Signal]) -> None:
    """Put signals aside, in one write.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home / "signals.lock"):
        file = os.open(home / "signals.jsonl", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(file).st_size
            if size > LARGEST:
                os.ftruncate(file, 0)
                note_problem(home, f"{size} bytes of signals that nobody took were dropped", None)
                size = 0
            tail = os.pread(file, _TAIL, max(0, size - _TAIL))
            told = [_from_line(line) for line in tail.split(b"\n")]
            lines = [_to_line(s) for s in signals if not any(_repeats(s, old) for old in told)]
            if lines:
                torn = b"\n" if tail and not tail.endswith(b"\n") else b""
                os.write(file, torn + b"".join(lines))
        finally:
            os.close(file)


def _repeats(new: Signal, old: Signal | None) -> bool:
    return (
        old is not None
        and (new.window, new.used, new.resets_at) == (old.window, old.used, old.resets_at)
        and 0 <= new.at - old.at < UNCHANGED_S
    )


@contextmanager
def taking(home: Path) -> Iterator[Parsed]:
    """What was put aside; forgotten when the block ends well, offered again when it does not.

    Nothing while somebody else takes.

    Raises:
        OSError: the folder cannot be read or written.
    """
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home / "signals.taking", wait=False) as mine:
        taken = _set_aside(home) if mine else []
        yield sum((_read(path) for path in taken), Parsed())
        for path in taken:
            path.unlink()


def drain(home: Path) -> Parsed:
    """Take what was put aside, and forget it."""
    with taking(home) as found:
        return found


def note_problem(home: Path, problem: str, at: float | None) -> None:
    """One line in `signals.log`, until that is full.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    home.mkdir(parents=True, exist_ok=True)
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds") if at else "-"
    line = f"{when} {problem}\n".encode("utf-8", "backslashreplace")
    file = os.open(home / "signals.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if os.fstat(file).st_size + len(line) <= LARGEST_LOG:
            os.write(file, line)
    finally:
        os.close(file)


def _set_aside(home: Path) -> list[Path]:
    """Everything to take: what is waiting now, and what an import that died left behind."""
    left = sorted(home.glob("signals.taken-*.jsonl"))
    waiting = home / "signals.jsonl"
    with _locked(home / "signals.lock"):
        if waiting.exists():
            last = int(left[-1].stem.removeprefix("signals.taken-")) if left else 0
            left.append(waiting.rename(home / f"signals.taken-{last + 1:06}.jsonl"))
    return left


def _read(path: Path) -> Parsed:
    signals: list[Signal] = []
    ignored = 0
    with path.open("rb") as file:
        for line in lines_of(file):
            signal = _from_line(line) if line else None
            if signal:
                signals.append(signal)
            else:
                ignored += 1
    return Parsed(tuple(signals), ignored)


def _to_line(signal: Signal) -> bytes:
    return json.dumps(asdict(signal), separators=(",", ":")).encode() + b"\n"


def _from_line(line: bytes) -> Signal | None:
    told = json_object(line)
    if told is None or told.get("source") != "statusline":
        return None
    window, used, at = name(told.get("window")), share(told.get("used")), moment(told.get("at"))
    if not window or used is None or at is None:
        return None
    return Signal(window, used, at, "statusline", moment(told.get("resets_at")))


@contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock file; whether we have it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)
