"""Rate limits in what Claude Code hands a status line on stdin.

    {"rate_limits": {"five_hour": {"used_percentage": 23.5, "resets_at": 1738425600},
                     "seven_day": {"used_percentage": 41.2, "resets_at": 1738857600}}, ...}

Percentages 0..100 (a gateway's `spend_limit` may pass 100), times in seconds since 1970 (RFC 3339
in some reports). The object is absent without a subscription and before the first answer of a
session, and an idle session repeats its last figures, so the same figure seen again proves nothing.
Sources: code.claude.com/docs/en/statusline (field `rate_limits`, since 2.1.80);
github.com/anthropics/claude-code issues 45133 (shape), 40094 and 63659 (absence);
github.com/lexfrei/claudeline issue 42 (spend_limit, since 2.1.251).
"""

from helios.domain.budget.signal import Signal
from helios.providers.signals.figures import Parsed, gauges, json_object


def parse_statusline(text: bytes | str, at: float) -> Parsed | None:
    """What a status line was told at `at`; None when it is no JSON object at all."""
    told = json_object(text)
    if told is None:
        return None
    limits = told.get("rate_limits")
    if limits is None:
        return Parsed()
    if not isinstance(limits, dict):
        return Parsed(ignored=1)
    found, ignored = gauges(limits, used="used_percentage", resets="resets_at", whole=100)
    return Parsed(
        tuple(Signal(g.window, g.used, at, "statusline", g.resets_at) for g in found), ignored
    )
