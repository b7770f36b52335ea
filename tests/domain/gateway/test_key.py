"""What a key lets pass, and what is said when it does not."""

from dataclasses import replace

import pytest

from helios.domain.gateway.key import (
    GatewayKey,
    Policy,
    Reason,
    matches_nothing,
    problem_with_key,
    problem_with_model,
    too_many_calls,
)

NOON = 1_800_000_000.0
KEY = GatewayKey("빌드", "keys/빌드", ("claude-haiku-*", "gpt-?"), 60, created_at=NOON)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"expires_at": NOON + 0.001}, None),
        ({"expires_at": NOON}, Reason.EXPIRED),
        ({"revoked_at": NOON - 1}, Reason.REVOKED),
        ({"revoked_at": NOON + 9}, Reason.REVOKED),
        ({"revoked_at": NOON, "expires_at": NOON}, Reason.REVOKED),
    ],
)
def test_a_key_lives_until_its_end(changes: dict, reason: Reason | None) -> None:
    key = replace(KEY, **changes)
    refused = problem_with_key(key, NOON)
    assert (refused.reason if refused else None) == reason
    assert key.live(NOON) == (reason is None)
    if refused:
        assert "빌드" in refused.message
        assert refused.key == key


@pytest.mark.parametrize(
    ("model", "allowed"),
    [
        ("claude-haiku-5-5", True),
        ("gpt-5", True),
        ("gpt-55", False),
        ("Claude-haiku-5-5", False),
        ("claude-opus-5-5", False),
        ("xclaude-haiku-5", False),
        ("gpt-5\n", False),
        ("", False),
    ],
)
def test_models_are_names_or_patterns(model: str, allowed: bool) -> None:
    refused = problem_with_model(KEY, model)
    assert (refused is None) == allowed
    assert problem_with_model(replace(KEY, models=()), model) is None
    if refused:
        assert refused.reason is Reason.MODEL
        assert "claude-haiku-*, gpt-?" in refused.message


def test_a_hostile_model_name_is_shortened_and_made_visible() -> None:
    refused = problem_with_model(KEY, "\r\nx-evil: 1" + "가" * 10_000)
    assert refused
    assert len(refused.message) < 300
    assert "\n" not in refused.message


def test_too_many_calls_say_when_the_next_may_come() -> None:
    refused = too_many_calls(KEY, 12.34)
    assert (refused.reason, refused.wait_s) == (Reason.RATE, 12.34)
    assert "60 times a minute; the next call in 12.3 s" in refused.message


def test_patterns_that_match_nothing_are_found() -> None:
    patterns = ("claude-*", "모델-*", "[", "*-5")
    assert matches_nothing(patterns, ("claude-opus-5-5", "gpt-5")) == ("모델-*", "[")
    assert matches_nothing((), ()) == ()


def test_policies_are_written_as_people_do() -> None:
    assert [str(policy) for policy in Policy] == ["off", "advise", "enforce"]
