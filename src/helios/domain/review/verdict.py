"""What a check of a task's result found."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate's outcome; `output` is the end of what the command printed."""

    command: str
    passed: bool
    seconds: float
    output: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A remark about a place in the code."""

    path: str
    severity: Literal["info", "warning", "error"]
    note: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Review:
    """A reviewer's verdict on a change."""

    approve: bool
    summary: str
    findings: tuple[Finding, ...] = ()
