"""How often a key may call: never more than its limit in any minute.

A sliding window, because a token bucket that may be emptied at once lets up to twice the limit
through within one minute. Calls are counted by tenths of a second and leave the count a minute
after the end of theirs: so the limit is exact, a call comes back into it at most a tenth of a
second late, and what is remembered is bounded whatever the limit.
"""

from dataclasses import dataclass
from math import ceil, floor

TICKS_PER_S = 10
WINDOW = 60 * TICKS_PER_S


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of the last minute: in ticks, when each tick's ended, and how many."""

    ended: tuple[tuple[int, int], ...] = ()
    count: int = 0


def take(calls: Calls, limit: int, now: float) -> tuple[Calls, float]:
    """Count a call at `now` (seconds that may stand still, any start) if there is room.

    Returns:
        The calls as they are then, and 0; or how many seconds to wait until there is room, rounded
        up to a millisecond. A clock that goes back frees nothing. A limit of 0 is none.
    """
    if limit <= 0:
        return calls, 0.0
    tick = floor(now * TICKS_PER_S)
    if calls.ended:
        tick = max(tick, calls.ended[-1][0] - 1)
    calls = _without_old(calls, tick)
    if calls.count >= limit:
        free_at = _freed(calls, calls.count - limit + 1) / TICKS_PER_S
        return calls, ceil((free_at - now) * 1000) / 1000
    kept, same = calls.ended, 0
    if kept and kept[-1][0] == tick + 1:
        kept, same = kept[:-1], kept[-1][1]
    return Calls((*kept, (tick + 1, same + 1)), calls.count + 1), 0.0


def _without_old(calls: Calls, tick: int) -> Calls:
    old = gone = 0
    for ended, count in calls.ended:
        if ended + WINDOW > tick:
            break
        old, gone = old + 1, gone + count
    return Calls(calls.ended[old:], calls.count - gone) if old else calls


def _freed(calls: Calls, wanted: int) -> int:
    """The tick at which so many calls have left the count."""
    freed = 0
    for ended, count in calls.ended:
        freed += count
        if freed >= wanted:
            return ended + WINDOW
    raise AssertionError("more calls are wanted than were counted")
