"""Events of the CLI's stream, and whatever else a stream may hold."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.budget.signal import Signal
from helios.providers.signals.cli_events import parse_event_line
from helios.providers.signals.figures import LONGEST_LINE, Parsed
from helios.providers.signals.statusline import parse_statusline

AT = 1_788_460_000.0
EVENT = {
    "type": "rate_limit_event",
    "uuid": "한글",
    "rate_limit_info": {
        "status": "rejected",
        "resetsAt": 1788538200,
        "rateLimitType": "five_hour",
        "overageStatus": "rejected",
        "overageDisabledReason": "out_of_credits",
        "isUsingOverage": False,
        "unifiedWindows": {
            "five_hour": {"utilization": 1, "resetsAt": 1788538200},
            "seven_day": {"utilization": 0.45, "resetsAt": 1788620400},
            "seven_day_overage_included": {"utilization": 0.88, "resetsAt": 1788620400},
        },
    },
}


def event(**info) -> str:
    return json.dumps({"type": "rate_limit_event", "rate_limit_info": info})


def test_an_event_with_windows() -> None:
    parsed = parse_event_line(json.dumps(EVENT, ensure_ascii=False).encode(), AT)
    assert parsed.ignored == 0
    assert parsed.signals == (
        Signal("five_hour", 1.0, AT, "cli", 1788538200.0, "rejected"),
        Signal("seven_day", 0.45, AT, "cli", 1788620400.0),
        Signal("seven_day_overage_included", 0.88, AT, "cli", 1788620400.0),
    )


def test_an_older_event_has_one_figure_or_none() -> None:
    warned = event(
        status="allowed_warning", rateLimitType="seven_day", utilization=0.92, resetsAt=1788620400
    )
    assert parse_event_line(warned, AT).signals == (
        Signal("seven_day", 0.92, AT, "cli", 1788620400.0, "allowed_warning"),
    )
    plain = event(status="allowed", rateLimitType="five_hour", resetsAt=1788538200)
    assert parse_event_line(plain, AT).signals == ()
    assert parse_event_line(plain, AT).ignored == 0


@pytest.mark.parametrize("flag", ["isUsingOverage", "overageInUse"])
def test_overage_in_use(flag: str) -> None:
    windows = {"five_hour": {"utilization": 1.0}}
    assert parse_event_line(event(unifiedWindows=windows, **{flag: True}), AT).signals[0].overage
    windows_too = event(unifiedWindows=windows, **{flag: "true"})
    assert not parse_event_line(windows_too, AT).signals[0].overage


@pytest.mark.parametrize(
    "said", ['"abc"', "-0.01", "1e9", "true", "[]", "{}", '"\\ud800"', "1e400"]
)
def test_a_nonsense_figure_is_ignored_and_counted(said: str) -> None:
    good = event(unifiedWindows={"five_hour": {"utilization": 0.5}, "seven_day": 0})
    line = good.replace('"seven_day": 0', f'"seven_day": {{"utilization": {said}}}')
    parsed = parse_event_line(line, AT)
    assert [s.window for s in parsed.signals] == ["five_hour"]
    assert parsed.ignored == 1


@pytest.mark.parametrize("said", ["NaN", "Infinity", "9" * 5000], ids=["nan", "inf", "long"])
def test_what_is_no_json_spoils_its_line(said: str) -> None:
    line = event(unifiedWindows={"five_hour": {"utilization": 0.5}}).replace("0.5", said)
    assert parse_event_line(line, AT) == Parsed(ignored=1)


@pytest.mark.parametrize(
    "line",
    [
        json.dumps(EVENT)[:-20],
        b"\xff\xfe" + json.dumps(EVENT).encode("utf-16-le"),
        json.dumps(EVENT).encode().replace(b"\\ud55c", b"\xc3\x28"),
        b"",
        "[]",
        "null",
        "[" * 100_000,
        b'{"type": "' + b"x" * LONGEST_LINE + b'"}',
        event(unifiedWindows=[1]),
        '{"type": "rate_limit_event", "rate_limit_info": 3}',
    ],
    ids=range(10),
)
def test_a_broken_line_is_one_thing_ignored(line: bytes | str) -> None:
    parsed = parse_event_line(line, AT)
    assert (parsed.signals, parsed.ignored) == ((), 1)


def test_other_events_say_nothing() -> None:
    assert parse_event_line('{"type": "assistant", "message": {}}', AT).ignored == 0


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
window = st.sampled_from(["five_hour", "seven_day", "", "한글"])
figures = st.dictionaries(
    st.sampled_from(["utilization", "resetsAt", "used_percentage", "resets_at"]), anything
)


@given(st.dictionaries(window, figures | anything), anything)
def test_no_input_breaks_a_parser_or_makes_an_impossible_figure(windows, other) -> None:
    info = {"unifiedWindows": windows, "status": other, "rateLimitType": "five_hour"}
    said = parse_event_line(event(**info), AT)
    shown = parse_statusline(json.dumps({"rate_limits": windows, "x": other}), AT)
    for signal in said.signals + (shown.signals if shown else ()):
        assert 0 <= signal.used <= 2
        assert signal.window in ("five_hour", "seven_day")
        assert signal.resets_at is None or 1.5e9 < signal.resets_at < 4.2e9
