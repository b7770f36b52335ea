"""What an answer says it took is believed only when it makes sense."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.gateway.usage import MOST_COUNTED, Rate, is_error, read_answer, read_usage
from helios.domain.usage import Usage
from tests.domain.gateway.bodies import VALUES

TOLD: dict[str, Any] = {
    "input_tokens": 10,
    "output_tokens": 20,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 40,
    "cache_creation": {"ephemeral_5m_input_tokens": 25, "ephemeral_1h_input_tokens": 5},
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    "service_tier": "standard",
}
FIELDS = sorted(TOLD)


def test_every_kind_is_read() -> None:
    counted = read_usage(TOLD)
    assert counted
    assert counted.usage == Usage(10, 20, 30, 40, 5)
    assert counted.server_tools == {"web_search_requests": 2, "web_fetch_requests": 0}


@pytest.mark.parametrize("absent", [{}, {"cache_read_input_tokens": None, "cache_creation": None}])
def test_kinds_that_are_not_told_are_none(absent: dict[str, None]) -> None:
    counted = read_usage({"input_tokens": 1, "output_tokens": 2, **absent})
    assert counted
    assert counted.usage == Usage(1, 2)


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens"])
def test_without_input_or_output_nothing_is_known(name: str) -> None:
    assert read_usage({**TOLD, name: None}) is None
    assert read_usage({key: value for key, value in TOLD.items() if key != name}) is None


@pytest.mark.parametrize("wrong", [-1, True, 1.0, float("inf"), "1", MOST_COUNTED + 1, [1]])
@pytest.mark.parametrize("name", FIELDS)
def test_a_count_that_is_none_makes_all_unknown(name: str, wrong: object) -> None:
    told = TOLD[name]
    if name == "service_tier":
        return
    if isinstance(told, dict):
        assert read_usage({**TOLD, name: wrong}) is None
        assert all(read_usage({**TOLD, name: {**told, key: wrong}}) is None for key in told)
    else:
        assert read_usage({**TOLD, name: wrong}) is None


def test_a_new_total_without_new_parts_is_taken_for_the_dearer_kind() -> None:
    counted = read_usage({**TOLD, "cache_creation_input_tokens": 100})
    assert counted
    assert counted.usage.cache_write_1h_tokens == 75
    short = {"ephemeral_5m_input_tokens": 25, "ephemeral_1h_input_tokens": 0}
    counted = read_usage({**TOLD, "cache_creation_input_tokens": 100, "cache_creation": short})
    assert counted
    assert counted.usage.cache_write_1h_tokens == 0


@pytest.mark.parametrize(
    ("created", "for_an_hour"),
    [(None, 30), ({}, 30), ({"ephemeral_5m_input_tokens": 25}, 5), (TOLD["cache_creation"], 5)],
)
def test_where_an_hour_was_asked_all_that_is_not_named_as_short_is_one(
    created: dict[str, int] | None, for_an_hour: int
) -> None:
    data = {**TOLD, "cache_creation": created}
    counted = read_usage(data, hour_cache=True)
    told = read_answer(json.dumps({"type": "message", "usage": data}).encode(), hour_cache=True)
    assert counted
    assert counted.usage == told.usage == Usage(10, 20, 30, 40, for_an_hour)


@pytest.mark.parametrize(
    ("told", "rate", "cost", "bound_cost"),
    [
        ({}, Rate.LISTED, 101, 101),
        ({"inference_geo": "global", "speed": "standard"}, Rate.LISTED, 101, 101),
        ({"inference_geo": "us", "speed": None}, Rate.US, 112, 112),
        ({"inference_geo": "us", "speed": "fast"}, Rate.UNKNOWN, 112, 5000),
        ({"inference_geo": "달"}, Rate.UNKNOWN, 112, 5000),
        ({"inference_geo": ["us"]}, Rate.UNKNOWN, 112, 5000),
    ],
)
def test_what_was_not_made_at_listed_prices_costs_more(
    told: dict[str, Any], rate: Rate, cost: int, bound_cost: int
) -> None:
    counted = read_usage({**TOLD, **told})
    assert counted
    assert counted.rate is rate
    assert rate.cost_microusd(101, 0) == cost
    assert rate.cost_microusd(101, 5000) == bound_cost


def test_summaries_of_the_context_are_added_and_other_iterations_are_not() -> None:
    turn = {"input_tokens": 100, "output_tokens": 1000}
    iterations = [
        {"type": "compaction", **turn},
        {"type": "message", "model": "클로드", **turn},
        "odd",
        {},
    ]
    counted = read_usage({**TOLD, "iterations": iterations})
    assert counted
    assert counted.usage == Usage(110, 1020, 30, 40, 5)
    assert counted.iterations == (("", Usage(100, 1000)), ("클로드", Usage(100, 1000)))
    assert read_usage({**TOLD, "iterations": [{"type": "compaction"}]}) is None


@given(st.dictionaries(st.sampled_from([*FIELDS, "iterations"]), VALUES) | VALUES)
def test_any_values_are_read_or_unknown(data: Any) -> None:
    counted = read_usage(data)
    if counted:
        usage = counted.usage
        assert 0 <= usage.cache_write_1h_tokens <= usage.cache_write_tokens
        assert usage.input_tokens >= data["input_tokens"] >= 0


def test_an_answer_in_one_piece() -> None:
    message = {"type": "message", "id": "msg_1", "model": "클로드", "stop_reason": "end_turn"}
    told = read_answer(json.dumps({**message, "usage": TOLD}).encode())
    assert told.usage == Usage(10, 20, 30, 40, 5)
    assert (told.started, told.stopped, told.output_known) == (True, True, True)
    assert (told.model, told.message_id, told.stop_reason) == ("클로드", "msg_1", "end_turn")
    unknown = read_answer(json.dumps(message).encode())
    assert (unknown.started, unknown.usage, unknown.output_known) == (True, None, False)


def test_an_error_in_one_piece() -> None:
    told = read_answer(b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}')
    assert told.error == ("overloaded_error", "busy")
    assert not told.started
    assert read_answer(b'{"type":"error"}').error == ("api_error", "")


@pytest.mark.parametrize(
    ("body", "api"),
    [
        (
            '{"type":"error","error":{"type":"api_error","message":"내부 오류"},"request_id":"r"}',
            True,
        ),
        ('{"type":"error","error":{"type":"api_error"}', False),
        ('{"type":"error","error":{"message":"x"}}', False),
        ('{"type":"error","error":{"type":5}}', False),
        ('{"type":"error","error":"api_error"}', False),
        ('{"type":"message","error":{"type":"api_error"}}', False),
        ('{"error":{"type":"server_error"}}', False),
        ("<html>502</html>", False),
        ("[]", False),
        ("", False),
    ],
)
def test_an_error_of_the_api_itself_is_known_by_its_shape(body: str, api: bool) -> None:
    assert is_error(body.encode()) is api


@given(st.binary(max_size=100) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_read(raw: bytes) -> None:
    told = read_answer(raw)
    assert told.output_known == (told.usage is not None)
