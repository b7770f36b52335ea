"""How a unit was used of late: amounts in equal spans of time, the newest ending now.

Counting back from now leaves no half span at the end, and a million uses cost one pass.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from helios.domain.budget.spend import SpendSample
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Window

Use = tuple[float, int]
"""A time (UTC seconds) and how much was used then, or in the span that began then."""

SPANS_S = (60.0, 300.0, 900.0, 3600.0, 7200.0, 28_800.0)
"""Lengths a span can have: each divides a day, so that yesterday's spans line up with today's."""
SPANS_A_WINDOW = 96
MOST_SPANS = 900
"""Use older than this (three days of five-minute spans) says little about the next hours."""
CARRIED = 12
"""A span nothing could be used in counts as the mean of so many before it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Use in equal spans of `span_s` seconds, the oldest first; the last one ends now."""

    span_s: float
    amounts: tuple[int, ...]


def span_for(length_s: float) -> float:
    """The length of a span (seconds) that suits a window of `length_s`: five minutes for 5 h."""
    return next((span for span in SPANS_S if length_s <= span * SPANS_A_WINDOW), SPANS_S[-1])


def uses_of(samples: Iterable[SpendSample], unit: Unit) -> list[Use]:
    """What samples of spending used of a unit; millipoints are metered elsewhere and are none."""
    match unit:
        case Unit.MESSAGES:
            return [(sample.at, sample.messages) for sample in samples]
        case Unit.TOKENS:
            return [(sample.at, sample.tokens) for sample in samples]
        case Unit.MICROUSD:
            return [(sample.at, sample.cost_microusd) for sample in samples]
        case _:
            return []


def pace_of(
    uses: Iterable[Use],
    *,
    now: float,
    span_s: float,
    since: float | None = None,
    blocked: Sequence[Window] = (),
) -> Pace:
    """Sum uses up by span.

    Args:
        uses: in any order, times may repeat. What is dated after `now` (a clock that went back)
            is left out, as is a time or an amount that makes no sense.
        now: where the newest span ends, UTC seconds.
        span_s: seconds per span, from `span_for`.
        since: when watching began; without it, at the first use.
        blocked: times in which nothing could be used because the limit was full. No use there
            does not mean no demand: these spans take the mean of the open ones before them.
    """
    oldest = now - MOST_SPANS * span_s
    totals = [0] * (MOST_SPANS + 1)
    first = now
    for at, amount in uses:
        if oldest <= at <= now and amount > 0:
            totals[int((at - oldest) / span_s)] += amount
            first = min(first, at)
    # What is dated exactly now belongs to the span that ends now.
    latest = totals.pop()
    totals[-1] += latest
    begun = first if since is None else max(oldest, min(since, first))
    watched = min(MOST_SPANS, math.ceil((now - begun) / span_s - 1e-9))
    amounts = totals[MOST_SPANS - watched :]
    for window in blocked:
        _carry_into(amounts, window, begin=now - watched * span_s, span_s=span_s)
    return Pace(span_s, tuple(amounts))


def _carry_into(amounts: list[int], window: Window, *, begin: float, span_s: float) -> None:
    """Fill the spans that lie wholly in `window` with the mean of those before it."""
    low = max(0, math.ceil((window.opened_at - begin) / span_s))
    high = min(len(amounts), math.floor((window.closes_at - begin) / span_s))
    before = amounts[max(0, low - CARRIED) : low]
    if before:
        mean = round(sum(before) / len(before))
        amounts[low:high] = [mean] * max(0, high - low)
