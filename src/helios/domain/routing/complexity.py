"""How hard a task looks, 1 to 10 in five bands, from its type, its text, its size and its needs.

For agentic coding the text hardly predicts success (shared measurements: AUC 0.58 to 0.63), so
this score steers only where the classic rules are asked for; learning from outcomes does the rest.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Band(StrEnum):
    """The five bands: 1-2, 3-4, 5-6, 7-8, 9-10."""

    TRIVIAL = "trivial"
    SIMPLE = "simple"
    MODERATE = "moderate"
    COMPLEX = "complex"
    VERY_COMPLEX = "very complex"


TYPE_BASE: Mapping[str, float] = {
    "architecture": 7.0,
    "planning": 6.5,
    "review": 6.0,
    "analysis": 5.0,
    "coding": 4.5,
    "bug fix": 4.0,
    "refactoring": 4.0,
    "unit tests": 3.0,
    "documentation": 2.5,
    "boilerplate": 1.5,
}
"""Where a type of task starts. A type not listed starts at 4.5."""

# ASCII: a Korean particle ends an English word ("security를").
HARD_WORDS = re.compile(
    r"\b(concurren\w*|deadlock\w*|race\w*|distributed|security|migrat\w+|protocol\w*|"
    r"performance|optimi[sz]\w+|architect\w+|algorithm\w*|invariant\w*|transaction\w*)\b"
    r"|동시성|교착|보안|마이그레이션|성능|최적화|설계|분산",
    re.IGNORECASE | re.ASCII,
)
EASY_WORDS = re.compile(
    r"\b(typo\w*|rename\w*|comment\w*|format\w*|docstring\w*|readme|bump\w*|spelling)\b"
    r"|오타|주석|이름 변경|문서",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Complexity:
    """A score of 1 to 10 and the parts it is the sum of."""

    score: float
    band: Band
    parts: tuple[tuple[str, float], ...]


def complexity(*, task_type: str, text: str, size_bytes: int, needs: int) -> Complexity:
    """Judge a task.

    Args:
        task_type: the role's word for the kind of work.
        text: what is asked.
        size_bytes: how much the agent has to read.
        needs: how many tasks it builds upon.
    """
    hard = len({m.group().lower() for m in HARD_WORDS.finditer(text)})
    easy = len({m.group().lower() for m in EASY_WORDS.finditer(text)})
    parts = (
        (f"type {task_type}", TYPE_BASE.get(task_type, 4.5)),
        ("hard words", min(2.0, 0.7 * hard)),
        ("easy words", -min(2.0, 0.7 * easy)),
        ("length of the text", min(1.0, len(text) / 4000)),
        ("size of the code", min(1.5, size_bytes / 40_000)),
        ("needs", min(1.0, 0.1 * needs)),
    )
    score = min(10.0, max(1.0, sum(points for _, points in parts)))
    return Complexity(score, band_of(score), parts)


def band_of(score: float) -> Band:
    """The band of a score of 1 to 10."""
    bands = list(Band)
    return bands[min(len(bands) - 1, max(0, int((score - 1e-9) / 2)))]
