"""Rate limits in the headers of the provider's answers.

Subscription answers carry `anthropic-ratelimit-unified-<window>-{utilization,reset,status}`:
utilization is a share 0..1 in whole percents, rounded down by the server, reset is in seconds since
1970; windows seen are 5h, 7d, 7d_oi (only on answers of the model it is scoped to) and overage.
Beside them stand `-unified-{status,representative-claim,overage-status,overage-in-use}`. An account
in paid overage may get no 5h and 7d headers at all.
Sources: github.com/anthropics/claude-code issues 12829, 41185 and 76309 (rounded down);
github.com/HermannBjorgvin/Clawdmeter pull 59 (a live answer in overage);
github.com/Abilityai/trinity issue 2865 (rejected, while overage is allowed, means overage in use);
github.com/KarpelesLab/teamclaude, README on the 7d_oi family.

Answers to API keys carry `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-` with
`{limit,remaining,reset}`: counts (tokens rounded to thousands) and an RFC 3339 time.
Source: platform.claude.com/docs/en/api/rate-limits, "Response headers".
"""

import re
from collections.abc import Mapping

from helios.domain.budget.signal import Signal
from helios.providers.signals.figures import Parsed, moment, name, number, share

PREFIX = "anthropic-ratelimit-"
UNIFIED = PREFIX + "unified-"
WINDOW_BY_PART = {
    "5h": "five_hour",
    "7d": "seven_day",
    "7d_oi": "seven_day_overage_included",
    "7d_opus": "seven_day_opus",
    "7d_sonnet": "seven_day_sonnet",
}
"""The client's own table of abbreviations; a part that is not in it names its window itself."""
KEY_FAMILIES = ("requests", "tokens", "input-tokens", "output-tokens")
_UTILIZATION = re.compile(re.escape(UNIFIED) + r"([a-z0-9_]{1,40})-utilization")


def parse_headers(headers: Mapping[str, str], at: float) -> Parsed:
    """What an answer received at `at` says; names in any case."""
    lower = {key.lower(): value for key, value in headers.items()}
    return _unified(lower, at) + _by_key(lower, at)


def _unified(headers: Mapping[str, str], at: float) -> Parsed:
    overage = _in_overage(headers)
    signals: list[Signal] = []
    ignored = 0
    for key, value in headers.items():
        match = _UTILIZATION.fullmatch(key)
        if not match:
            continue
        part = match[1]
        used = share(value)
        if used is None:
            ignored += 1
            continue
        reset = headers.get(f"{UNIFIED}{part}-reset")
        resets_at = moment(reset)
        ignored += reset is not None and resets_at is None
        window = WINDOW_BY_PART.get(part, part)
        status = name(headers.get(f"{UNIFIED}{part}-status")) or _overall_status(headers, window)
        signals.append(Signal(window, used, at, "headers", resets_at, status, overage))
    return Parsed(tuple(signals), ignored)


def _in_overage(headers: Mapping[str, str]) -> bool:
    if headers.get(f"{UNIFIED}overage-in-use", "").strip().lower() == "true":
        return True
    paid = name(headers.get(f"{UNIFIED}overage-status")) in ("allowed", "allowed_warning")
    return paid and headers.get(f"{UNIFIED}status") == "rejected"


def _overall_status(headers: Mapping[str, str], window: str) -> str:
    if headers.get(f"{UNIFIED}representative-claim") != window:
        return ""
    return name(headers.get(f"{UNIFIED}status"))


def _by_key(headers: Mapping[str, str], at: float) -> Parsed:
    signals: list[Signal] = []
    ignored = 0
    for family in KEY_FAMILIES:
        limit, left = (headers.get(f"{PREFIX}{family}-{kind}") for kind in ("limit", "remaining"))
        if limit is None or left is None:
            continue
        whole, rest = number(limit), number(left)
        if whole is None or rest is None or whole <= 0 or not 0 <= rest <= whole:
            ignored += 1
            continue
        reset = headers.get(f"{PREFIX}{family}-reset")
        resets_at = moment(reset)
        ignored += reset is not None and resets_at is None
        used = round(1 - rest / whole, 6)
        signals.append(Signal(family.replace("-", "_"), used, at, "headers", resets_at))
    return Parsed(tuple(signals), ignored)
