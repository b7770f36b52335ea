"""What outcomes taught: how often each model succeeds at each type of task.

An exponential moving average with alpha 0.2, the well-known baseline; it remembers about nine
outcomes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ALPHA = 0.2
PRIOR = 0.7
"""Before anything is known, a model is taken to succeed seven times in ten."""


@dataclass(frozen=True, slots=True)
class Learned:
    """Success rates by (task type, model) and how many outcomes each rests on."""

    rates: Mapping[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])

    def rate(self, task_type: str, model: str) -> float:
        """The expected success rate, 0..1."""
        return self.rates.get((task_type, model), PRIOR)

    def count(self, task_type: str, model: str) -> int:
        """How many outcomes are behind the rate."""
        return self.counts.get((task_type, model), 0)


def learn(outcomes: Iterable[tuple[str, str, bool]]) -> Learned:
    """Fold outcomes, oldest first, as (task type, model, succeeded)."""
    rates: dict[tuple[str, str], float] = {}
    counts: dict[tuple[str, str], int] = {}
    for task_type, model, succeeded in outcomes:
        key = (task_type, model)
        before = rates.get(key, PRIOR)
        rates[key] = before + ALPHA * (float(succeeded) - before)
        counts[key] = counts.get(key, 0) + 1
    return Learned(rates, counts)
