"""How many requests may be at an upstream at once, learned from what it takes and what it refuses.

Additive increase, multiplicative decrease (Chiu and Jain 1989), with TCP's slow start: until the
first loss the limit grows by one with each success, then by one with each round of them.

503, 529 and no connection are losses of the upstream as a whole; when to come back is said to their
lane (a model, say) alone. A 429 is a loss of its lane alone: rate limits are each model's own, and
were it a loss of all, one model that keeps running into its limit would bring the others down to
one request at a time. What is learned of a lane holds beside what is known of the whole; a lane
that was never refused is bounded by the whole.
"""

import math
from dataclasses import dataclass, replace

LEAST = 1.0
START = 64.0
MOST = 2_000.0
DECREASE = 0.7
"""What a loss leaves of the limit, as in CUBIC (RFC 9438)."""
ROUND_S = 1.0
"""Losses within it are one, and nothing grows: they answer requests sent before the decrease."""
LONGEST_CLOSURE_S = 60.0
"""A longer retry-after tells of a quota's window, perhaps of one model; that is the governor's."""


@dataclass(frozen=True, slots=True)
class Concurrency:
    """What has been learned. Times are monotonic seconds, of any start.

    `slow_until` is the limit up to which growth is fast.
    """

    limit: float = START
    slow_until: float = MOST
    lost_at: float = -math.inf
    closed_until: float = -math.inf


def on_success(state: Concurrency, inflight: int, now: float) -> Concurrency:
    """The upstream took a request while `inflight` were there, this one included.

    Only a limit that is used grows: with half of it idle, success proves nothing about the rest.
    """
    if 2 * inflight < math.floor(state.limit) or _recovering(state, now):
        return state
    growth = 1.0 if state.limit < state.slow_until else 1.0 / state.limit
    return replace(state, limit=min(MOST, state.limit + growth))


def on_loss(state: Concurrency, now: float, retry_after_s: float | None = None) -> Concurrency:
    """The upstream refused a request for load, and said when to come back or did not."""
    if not _recovering(state, now):
        limit = max(LEAST, state.limit * DECREASE)
        state = replace(state, limit=limit, slow_until=limit, lost_at=now)
    return _closed(state, now, retry_after_s)


def on_lane_loss(
    own: Concurrency | None,
    shared: Concurrency,
    inflight: int,
    now: float,
    retry_after_s: float | None = None,
) -> Concurrency:
    """The upstream refused a request for its lane's rate limit; what is known of the lane then.

    Its first loss starts from the `inflight` that were there, this one included, as TCP's do (RFC
    5681, equation 4): a limit far above them would take many losses before it held anybody.
    """
    if own is None or own.lost_at == -math.inf:
        start = max(LEAST, min(shared.limit, inflight))
        own = replace(own or Concurrency(), limit=start)
    return on_loss(own, now, retry_after_s)


def on_lane_overload(
    own: Concurrency | None, now: float, retry_after_s: float | None
) -> Concurrency:
    """The upstream was too busy for a request of a lane, and said when to come back or did not.

    The limit of the lane stays: that of the whole tells how many may go.
    """
    return _closed(own or Concurrency(limit=MOST), now, retry_after_s)


def room(state: Concurrency, inflight: int, now: float) -> float:
    """How long to wait before one more may go, in seconds.

    0 is now; infinity is until one of those that are there has ended.
    """
    closed_s = state.closed_until - now
    if closed_s > 0:
        return min(closed_s, LONGEST_CLOSURE_S)
    return 0.0 if inflight < math.floor(state.limit) else math.inf


def _closed(state: Concurrency, now: float, retry_after_s: float | None) -> Concurrency:
    if retry_after_s is None or not 0 < retry_after_s <= LONGEST_CLOSURE_S:
        return state
    return replace(state, closed_until=max(state.closed_until, now + retry_after_s))


def _recovering(state: Concurrency, now: float) -> bool:
    return 0 <= now - state.lost_at < ROUND_S
