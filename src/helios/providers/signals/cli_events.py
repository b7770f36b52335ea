"""Rate limits in the stream-json of Claude Code: `rate_limit_event`.

    {"type": "rate_limit_event", "rate_limit_info": {"status": "allowed", "resetsAt": 1788465600,
     "rateLimitType": "five_hour", "overageStatus": "allowed", "isUsingOverage": false,
     "unifiedWindows": {"five_hour": {"utilization": 0.24, "resetsAt": 1788465600}, ...}}}

Utilization is a share 0..1 (the whole number 1 when full), resetsAt is in seconds since 1970. Below
a warning the outer `utilization` is absent; older versions have no `unifiedWindows`, and some
events say `overageInUse` instead. An event without a figure makes no signal.
Sources: github.com/anthropics/claude-code issues 91857 (an event of 2.1.259) and 41185;
github.com/meawoppl/rust-code-agent-sdks pull 180 (the schema inside 2.1.205: status allowed,
allowed_warning or rejected; types five_hour, seven_day, seven_day_opus, seven_day_sonnet,
seven_day_overage_included, overage); github.com/handarbeit/fabrik issue 1815 (2,244 events).
"""

from collections.abc import Mapping
from typing import Any

from helios.domain.budget.signal import Signal
from helios.providers.signals.figures import Parsed, gauges, json_object, members, name


def parse_event_line(line: bytes | str, at: float) -> Parsed:
    """What one line of the stream, received at `at`, says; other events say nothing."""
    event = json_object(line)
    if event is None:
        return Parsed(ignored=1)
    if event.get("type") != "rate_limit_event":
        return Parsed()
    info = event.get("rate_limit_info")
    return parse_info(info, at) if isinstance(info, dict) else Parsed(ignored=1)


def parse_info(info: Mapping[str, Any], at: float) -> Parsed:
    """The object `rate_limit_info`, as libraries over the CLI hand it on as well."""
    overage = info.get("isUsingOverage") is True or info.get("overageInUse") is True
    binding, status = name(info.get("rateLimitType")), name(info.get("status"))
    windows = dict(members(info.get("unifiedWindows")))
    ignored = int(info.get("unifiedWindows") is not None and not windows)
    if binding and binding not in windows and info.get("utilization") is not None:
        windows[binding] = info
    found, nonsense = gauges(windows, used="utilization", resets="resetsAt", whole=1)
    signals = tuple(
        Signal(g.window, g.used, at, "cli", g.resets_at, status * (g.window == binding), overage)
        for g in found
    )
    return Parsed(signals, ignored + nonsense)
