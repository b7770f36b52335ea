"""A circuit breaker: an upstream that keeps failing is left alone, then tried with one request.

The phases and the events that join them are the table `TRANSITIONS`; what is not in it changes
nothing. Every permit carries the epoch it was given in, and only outcomes of the epoch at hand
count: a straggler from before the failure proves nothing about now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

TRIP_AFTER = 5
"""So many failures, with no answer in between,"""
WITHIN_S = 30.0
"""in so many seconds open it."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
PROBE_S = 10.0
"""A probe without an outcome for so long makes room for another; a long answer is no failure."""


class Phase(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    """Everything goes."""
    OPEN = "open"
    """Nothing goes until the pause is over."""
    HALF_OPEN = "half-open"
    """One request is out to try."""


class Outcome(StrEnum):
    """What became of a request that was let through."""

    ANSWERED = "answered"
    """The upstream lives, whatever it says: 2xx, 3xx, 4xx, 429 and 529 too."""
    FAILED = "failed"
    """No connection, or a 5xx other than 529."""
    UNKNOWN = "unknown"
    """It was never sent, was cancelled or waited for longer than the client would."""


class Event(StrEnum):
    """What moves a breaker."""

    TRIPPED = "tripped"
    PAUSE_OVER = "pause over"
    PROBE_ANSWERED = "probe answered"
    PROBE_FAILED = "probe failed"
    PROBE_UNKNOWN = "probe unknown"


TRANSITIONS: Mapping[tuple[Phase, Event], Phase] = {
    (Phase.CLOSED, Event.TRIPPED): Phase.OPEN,
    (Phase.OPEN, Event.PAUSE_OVER): Phase.HALF_OPEN,
    (Phase.HALF_OPEN, Event.PROBE_ANSWERED): Phase.CLOSED,
    (Phase.HALF_OPEN, Event.PROBE_FAILED): Phase.OPEN,
    (Phase.HALF_OPEN, Event.PROBE_UNKNOWN): Phase.OPEN,
}


@dataclass(frozen=True, slots=True)
class Breaker:
    """Times are monotonic seconds, of any start.

    `since` is when the phase or, half open, the probe began; `pause_s` how long it stays open;
    `failures` the failures in a row since `failing_since`.
    """

    phase: Phase = Phase.CLOSED
    since: float = 0.0
    pause_s: float = 0.0
    failures: int = 0
    failing_since: float = 0.0
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Permit:
    """Whether a request may go: `wait_s` 0 is yes, else seconds until it is worth asking again."""

    breaker: Breaker
    wait_s: float = 0.0

    @property
    def epoch(self) -> int:
        """What its outcome is told with."""
        return self.breaker.epoch


def ask(breaker: Breaker, now: float) -> Permit:
    """May a request go now? A yes may make it the probe, so ask only for one that then goes."""
    match breaker.phase:
        case Phase.CLOSED:
            return Permit(breaker)
        case Phase.OPEN:
            left_s = _left(breaker, breaker.pause_s, now)
            if left_s > 0:
                return Permit(breaker, left_s)
            return Permit(_moved(breaker, Event.PAUSE_OVER, now))
        case Phase.HALF_OPEN:
            left_s = _left(breaker, PROBE_S, now)
            return Permit(breaker, left_s) if left_s > 0 else Permit(replace(breaker, since=now))


def tell(breaker: Breaker, outcome: Outcome, epoch: int, now: float) -> Breaker:
    """A request that was let through in `epoch` has an outcome."""
    if epoch != breaker.epoch:
        return breaker
    match breaker.phase, outcome:
        case Phase.CLOSED, Outcome.ANSWERED:
            return replace(breaker, failures=0) if breaker.failures else breaker
        case Phase.CLOSED, Outcome.FAILED:
            return _counted(breaker, now)
        case Phase.HALF_OPEN, Outcome.ANSWERED:
            closed = _moved(breaker, Event.PROBE_ANSWERED, now)
            return replace(closed, failures=0, pause_s=0.0)
        case Phase.HALF_OPEN, Outcome.FAILED:
            longer_s = min(LONGEST_PAUSE_S, breaker.pause_s * 2)
            return replace(_moved(breaker, Event.PROBE_FAILED, now), pause_s=longer_s)
        case Phase.HALF_OPEN, Outcome.UNKNOWN:
            # The pause was served: the next request may try.
            back = _moved(breaker, Event.PROBE_UNKNOWN, now)
            return replace(back, since=now - breaker.pause_s)
        case _:
            return breaker


def _counted(breaker: Breaker, now: float) -> Breaker:
    in_row = breaker.failures > 0 and 0 <= now - breaker.failing_since <= WITHIN_S
    failures = breaker.failures + 1 if in_row else 1
    failing_since = breaker.failing_since if in_row else now
    counted = replace(breaker, failures=failures, failing_since=failing_since)
    if failures < TRIP_AFTER:
        return counted
    return replace(_moved(counted, Event.TRIPPED, now), pause_s=FIRST_PAUSE_S)


def _moved(breaker: Breaker, event: Event, now: float) -> Breaker:
    phase = TRANSITIONS[breaker.phase, event]
    return replace(breaker, phase=phase, since=now, epoch=breaker.epoch + 1)


def _left(breaker: Breaker, span_s: float, now: float) -> float:
    """What is left of a span; none when the clock has gone back, rather than more than it was."""
    passed_s = now - breaker.since
    return max(0.0, span_s - passed_s) if passed_s >= 0 else 0.0
