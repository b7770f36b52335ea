"""Foreign values made ours, or None: shares, times, names, JSON objects, lines of bounded size."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, NoReturn

from helios.domain.budget.signal import Signal

LONGEST_LINE = 4 << 20
"""Bytes. Lines of transcripts with pictures in them reach megabytes; beyond this is nonsense."""
MOST_SHARE = 2.0
"""Paid overage is reported slightly above 1; a figure above 2 is a percentage in the wrong unit."""
EARLIEST = 1_577_836_800.0
LATEST = 4_102_444_800.0
"""2020 and 2100, in seconds: what lies outside is not a time in seconds."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,63}")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What an input said, and how many of its figures or lines were ignored as nonsense."""

    signals: tuple[Signal, ...] = ()
    ignored: int = 0

    def __add__(self, other: "Parsed") -> "Parsed":
        return Parsed(self.signals + other.signals, self.ignored + other.ignored)


def number(value: object) -> float | None:
    """A finite JSON number, or text that is nothing but one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and (len(value) > 40 or not value.isascii() or "_" in value):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def share(value: object, *, whole: float = 1.0) -> float | None:
    """A share (0..1, or a little above in overage) of something that counts `whole` as all.

    Rounded, because 29 % arrives as 28.999999999999996 where a client multiplied by 100.
    """
    read = number(value)
    if read is None or not 0 <= read <= MOST_SHARE * whole:
        return None
    return round(read / whole, 6)


def moment(value: object) -> float | None:
    """Seconds since 1970, UTC, from such a number or an RFC 3339 time with its zone."""
    read = number(value)
    if read is None and isinstance(value, str) and len(value) <= 40:
        try:
            when = datetime.fromisoformat(value)
            read = when.timestamp() if when.tzinfo else None
        except (ValueError, OverflowError):
            return None
    return read if read is not None and EARLIEST <= read <= LATEST else None


def name(value: object) -> str:
    """A name of the provider's own (a window, a status, a model); "" for anything else."""
    return value if isinstance(value, str) and _NAME.fullmatch(value) else ""


@dataclass(frozen=True, slots=True)
class Gauge:
    """One window's figure, before it is known whose it is."""

    window: str
    used: float
    resets_at: float | None


def gauges(
    windows: Mapping[str, object], *, used: str, resets: str, whole: float
) -> tuple[list[Gauge], int]:
    """Windows by name, each an object of two members; and how many figures were nonsense.

    A window without a figure (absent or null) is nothing to tell and nothing wrong.
    """
    found: list[Gauge] = []
    ignored = 0
    for window, said in windows.items():
        figures = members(said)
        if said is None or (isinstance(said, dict) and figures.get(used) is None):
            continue
        part, reset = share(figures.get(used), whole=whole), figures.get(resets)
        if part is None or not name(window):
            ignored += 1
            continue
        resets_at = moment(reset)
        ignored += reset is not None and resets_at is None
        found.append(Gauge(window, part, resets_at))
    return found, ignored


def count(value: object, most: int) -> int | None:
    """A whole JSON number from 0 to `most`; absent counts as none."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= most else None


def members(value: object) -> Mapping[str, Any]:
    """The members of a JSON object; none when it is something else."""
    return value if isinstance(value, dict) else {}


def json_object(line: bytes | str) -> Mapping[str, Any] | None:
    """One JSON object in UTF-8, or None: half written, too long, NaN, too deep, another type."""
    if len(line) > LONGEST_LINE:
        return None
    try:
        text = line.decode("utf-8") if isinstance(line, bytes) else line
        read = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def lines_of(file: BinaryIO) -> Iterator[bytes | None]:
    """The lines that are not blank; None for one that is too long and not kept in memory."""
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            while line and not line.endswith(b"\n"):
                line = file.readline(LONGEST_LINE)
            yield None
        elif line.strip():
            yield line
