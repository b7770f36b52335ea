"""The simulator's own meter, as a provider's bill: one line for every answer that was begun.

An answer in one piece is billed before it goes out, a stream before its last bytes or when it
breaks off. One JSON line an answer, appended with a single write, so that a killed process loses
nothing it has answered whole and several processes can share a file. A line that a full disk or a
power cut left unfinished was never answered; it is counted as unreadable and passed over.
"""

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from helios.domain.usage import Usage
from helios.errors import UsageError


@dataclass(frozen=True, slots=True)
class Billed:
    """One billed answer. `at` is seconds since 1970, UTC; `whole` is False where it broke off or
    its client left.
    """

    request: str
    message: str
    model: str
    usage: Usage
    at: float
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    fault: str | None = None
    whole: bool = True

    def as_json(self) -> dict[str, Any]:
        """The line in the file."""
        plain = {key: getattr(self, key) for key in _BILLED}
        return {**plain, "usage": {key: getattr(self.usage, key) for key in _USAGE}}


_BILLED = tuple(part.name for part in fields(Billed))
_encode = json.JSONEncoder(ensure_ascii=False).encode
_USAGE = tuple(part.name for part in fields(Usage))


@dataclass(frozen=True, slots=True)
class Reading:
    """What the meter shows: every billed answer in order, and the tokens by model."""

    answers: tuple[Billed, ...]
    by_model: Mapping[str, Usage]
    unreadable: int = 0

    def as_json(self, *, each: bool = True) -> dict[str, Any]:
        """The reading as `GET /_meter` answers it; without `each` only the sums."""
        sums = {
            "simulated": True,
            "answers": len(self.answers),
            "models": {model: asdict(usage) for model, usage in self.by_model.items()},
            "unreadable_lines": self.unreadable,
        }
        return {**sums, "requests": [b.as_json() for b in self.answers]} if each else sums


class Meter:
    """Counts billed answers in a file, or in memory without one.

    Raises:
        UsageError: the file cannot be opened.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._answers: list[Billed] = []
        self._by_model: dict[str, Usage] = {}
        self._unreadable = 0
        self._read_to = 0
        self._file = _open(path) if path else None
        self._torn = path is not None and not _ends_well(path)

    def record(self, billed: Billed) -> None:
        """Bill one answer; it is in the file when this returns.

        Raises:
            OSError: the line could not be written; nothing is billed.
        """
        if self._file is None:
            self._add(billed)
            return
        line = _encode(billed.as_json()).encode() + b"\n"
        line = b"\n" + line if self._torn else line
        self._torn = True
        if os.write(self._file, line) != len(line):
            raise OSError(f"{self._path}: the line was cut short; the disk is full")
        self._torn = False

    def reading(self) -> Reading:
        """What is billed so far, by this process and by any other on the same file."""
        if self._path:
            self._catch_up(self._path)
        return Reading(tuple(self._answers), dict(self._by_model), self._unreadable)

    def close(self) -> None:
        """Give back the file; the reading stays as it was last."""
        if self._file is not None:
            self.reading()
            os.close(self._file)
            self._file = None
            self._path = None

    def _catch_up(self, path: Path) -> None:
        with path.open("rb") as file:
            file.seek(self._read_to)
            fresh = file.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read_to += len(whole)
        for line in whole.splitlines():
            if line:
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            data = json.loads(line)
            self._add(Billed(**{**data, "usage": Usage(**data["usage"])}))
        except (ValueError, TypeError, KeyError):
            self._unreadable += 1

    def _add(self, billed: Billed) -> None:
        self._answers.append(billed)
        self._by_model[billed.model] = self._by_model.get(billed.model, Usage()) + billed.usage


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_regular(path)
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UsageError(
            f"{path}: the simulator's meter cannot be opened: {error.strerror}",
            next_step="Choose a regular file in a folder you may write to.",
        ) from error


def _check_regular(path: Path) -> None:
    # A pipe would be waited for, a device read without end.
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file")


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
