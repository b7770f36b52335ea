"""Headers as live answers carried them, and as none should."""

import pytest

from helios.domain.budget.signal import Signal
from helios.providers.signals.headers import parse_headers

AT = 1_785_684_988.0
UNIFIED = "anthropic-ratelimit-unified-"
REJECTED = {
    "Anthropic-Ratelimit-Unified-5h-Reset": "1785685200",
    f"{UNIFIED}5h-status": "allowed",
    f"{UNIFIED}5h-utilization": "0.0",
    f"{UNIFIED}7d-reset": "1785736800",
    f"{UNIFIED}7d-status": "allowed_warning",
    f"{UNIFIED}7d-surpassed-threshold": "0.75",
    f"{UNIFIED}7d-utilization": "0.94",
    f"{UNIFIED}7d_oi-reset": "1785736800",
    f"{UNIFIED}7d_oi-status": "rejected",
    f"{UNIFIED}7d_oi-utilization": "1.0",
    f"{UNIFIED}fallback-percentage": "0.5",
    f"{UNIFIED}overage-status": "rejected",
    f"{UNIFIED}representative-claim": "seven_day_overage_included",
    f"{UNIFIED}status": "rejected",
    "retry-after": "51811",
}


def test_every_window_of_a_subscription_answer() -> None:
    assert parse_headers(REJECTED, AT).signals == (
        Signal("five_hour", 0.0, AT, "headers", 1785685200.0, "allowed"),
        Signal("seven_day", 0.94, AT, "headers", 1785736800.0, "allowed_warning"),
        Signal("seven_day_overage_included", 1.0, AT, "headers", 1785736800.0, "rejected"),
    )
    assert parse_headers(REJECTED, AT).ignored == 0


def test_paid_overage_is_seen_both_ways() -> None:
    rejected_but_paid = {**REJECTED, f"{UNIFIED}overage-status": "allowed"}
    assert all(s.overage for s in parse_headers(rejected_but_paid, AT).signals)
    in_use = {
        f"{UNIFIED}status": "allowed",
        f"{UNIFIED}representative-claim": "overage",
        f"{UNIFIED}overage-in-use": "true",
        f"{UNIFIED}overage-utilization": "0.0",
        f"{UNIFIED}overage-reset": "1787864000",
    }
    assert parse_headers(in_use, AT).signals == (
        Signal("overage", 0.0, AT, "headers", 1787864000.0, "allowed", overage=True),
    )
    spare = {f"{UNIFIED}5h-utilization": "0.4", f"{UNIFIED}overage-status": "allowed"}
    assert not parse_headers(spare, AT).signals[0].overage


def test_the_families_of_api_keys() -> None:
    headers = {
        "anthropic-ratelimit-input-tokens-limit": "80000",
        "anthropic-ratelimit-input-tokens-remaining": "20000",
        "anthropic-ratelimit-input-tokens-reset": "2026-08-21T12:40:59Z",
        "anthropic-ratelimit-requests-limit": "1000",
        "anthropic-ratelimit-requests-remaining": "999",
        "anthropic-ratelimit-tokens-limit": "96000",
    }
    assert parse_headers(headers, AT).signals == (
        Signal("requests", 0.001, AT, "headers"),
        Signal("input_tokens", 0.75, AT, "headers", 1787316059.0),
    )


@pytest.mark.parametrize(
    "nonsense", ["abc", "", "-0.01", "1e9", "nan", "inf", "42", "0.4%", "0_4", "٠.٤", "9" * 5000]
)
def test_nonsense_is_ignored_and_counted(nonsense: str) -> None:
    headers = {f"{UNIFIED}5h-utilization": nonsense, f"{UNIFIED}7d-utilization": "0.3"}
    parsed = parse_headers(headers, AT)
    assert [s.window for s in parsed.signals] == ["seven_day"]
    assert parsed.ignored == 1


@pytest.mark.parametrize("reset", ["soon", "-5", "1785685200000", "2026-08-21T12:40:59", "1e400"])
def test_a_reset_that_is_no_time_leaves_the_figure(reset: str) -> None:
    headers = {f"{UNIFIED}5h-utilization": "0.3", f"{UNIFIED}5h-reset": reset}
    parsed = parse_headers(headers, AT)
    assert parsed.signals == (Signal("five_hour", 0.3, AT, "headers"),)
    assert parsed.ignored == 1


@pytest.mark.parametrize(("limit", "left"), [("0", "0"), ("10", "11"), ("10", "-1"), ("x", "1")])
def test_counts_that_do_not_fit_are_ignored(limit: str, left: str) -> None:
    name = "anthropic-ratelimit-requests-"
    parsed = parse_headers({f"{name}limit": limit, f"{name}remaining": left}, AT)
    assert (parsed.signals, parsed.ignored) == ((), 1)
