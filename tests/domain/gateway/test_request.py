"""What a request asks for is read as the provider will read it, or refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.gateway import request
from helios.domain.gateway.request import Asked, asked_of, read_request, spans
from helios.errors import RequestRefused
from tests.domain.gateway.bodies import TEXTS, VALUES, body, written


def test_a_plain_request_is_bounded_by_its_bytes_and_has_a_price() -> None:
    assert read_request(body()) == Asked(
        "claude-sonnet-5-5", 64, stream=False, text_of_last_user="안녕", turns=1
    )


def test_whom_it_is_for_and_how_it_wants_to_be_answered() -> None:
    asked = read_request(
        body(
            stream=True,
            max_tokens=0,
            metadata={"user_id": "김철수"},
            thinking={"type": "enabled", "budget_tokens": 2048},
        )
    )
    assert (asked.stream, asked.max_tokens, asked.user_id) == (True, 0, "김철수")
    assert (asked.thinking, asked.thinking_budget) == (True, 2048)
    assert not read_request(body(thinking={"type": "disabled", "budget_tokens": 9})).thinking


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'"x"', "must be a JSON object"),
        (body() + b"x", "not valid JSON"),
        (body().replace("안녕".encode(), b"\xff\xfe"), "not valid JSON"),
        (b'{"model":"a",' + body()[1:], "duplicate"),
        (b'{"\\u006dodel":"a",' + body()[1:], "duplicate"),
        (body(tools=[{"x": 1}]).replace(b'"x": 1', b'"x":1,"x":2'), "duplicate"),
        (body(deep=1).replace(b'"deep": 1', b'"deep":' + b"[" * 300 + b"]" * 300), "recursion"),
        (body(x=1).replace(b'"x": 1', b'"x": NaN'), "not valid JSON"),
        (body(model=...), "model"),
        (body(model=7), "model"),
        (body(model=""), "model"),
        (body(model="a\r\nb"), "printable"),
        (body(model="m" * 257), "256"),
        (body(max_tokens=...), "max_tokens"),
        (body(max_tokens=-1), "max_tokens"),
        (body(max_tokens=True), "max_tokens"),
        (body(max_tokens=1.5), "max_tokens"),
        (body(max_tokens="9"), "max_tokens"),
        (body(max_tokens=10**30), "max_tokens"),
        (body(stream="yes"), "stream"),
        (body(messages={}), "messages"),
        (body(messages=...), "messages"),
    ],
)
def test_what_is_no_request_is_refused_and_was_not_billed(raw: bytes, told: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        read_request(raw)
    assert told.lower() in refused.value.message.lower()
    assert refused.value.billed == "no"


def test_a_body_that_would_fill_the_memory_when_parsed_is_refused_before() -> None:
    with pytest.raises(RequestRefused, match="brackets"):
        read_request(b'{"messages":[' + b"{}," * 1_000_001 + b"{}]}")


def test_counting_needs_no_length_of_the_answer() -> None:
    assert read_request(body(max_tokens=...), counting=True).max_tokens == 0


@given(st.binary(max_size=200) | VALUES.map(lambda v: json.dumps(v).encode()))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        asked = read_request(raw)
    except RequestRefused:
        return
    assert asked.model == json.loads(raw)["model"]


@given(st.dictionaries(TEXTS, VALUES, max_size=6), VALUES, VALUES, VALUES)
def test_any_values_in_any_field_are_read_or_refused(
    more: dict[str, Any], tools: Any, blocks: Any, system: Any
) -> None:
    fields = {**more, "tools": tools, "system": system, "fallbacks": system, "metadata": tools}
    data = {"model": "m", "max_tokens": 1, **fields, "messages": [{"content": blocks}, blocks]}
    try:
        asked_of(data, hour_cache=False)
    except RequestRefused:
        return


@pytest.mark.parametrize("spelling", ['"1h"', '"\\u0031h"', '"1\\u0068"', '"\\u0031\\u0068"'])
def test_the_hour_of_the_cache_is_found_however_it_is_written(spelling: str) -> None:
    plain = body(system=[{"type": "text", "text": "x", "cache_control": {"ttl": "TTL"}}])
    assert read_request(plain.replace(b'"TTL"', spelling.encode())).hour_cache
    assert not read_request(plain.replace(b'"TTL"', b'"5m"')).hour_cache
    assert not read_request(body(system='say "1h" \u0001')).hour_cache


@given(st.dictionaries(TEXTS, VALUES, max_size=6), st.data())
def test_spans_are_where_the_values_stand(whole: dict[str, Any], data: st.DataObject) -> None:
    raw = (data.draw(written(whole)) + " ").encode()
    wanted = ("model", "max_tokens", "messages", "한국어")
    found = spans(raw, wanted)
    assert found.keys() == whole.keys() & set(wanted)
    for key, (start, end) in found.items():
        assert json.loads(raw[start:end]) == whole[key]
        assert raw[start:end].strip() == raw[start:end]


@given(st.binary(max_size=60) | st.text('{}[]":,\\ a1', max_size=40).map(str.encode))
def test_spans_of_what_is_no_json_are_refused_or_within_it(raw: bytes) -> None:
    try:
        found = request.items(raw)
    except RequestRefused:
        return
    assert all(0 <= item.start <= item.value < item.end <= len(raw) for item in found)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "7",
        "{",
        '{"a"',
        '{"a":',
        '{"a":1',
        '{"a":1 2}',
        '{"a" 1}',
        "{a:1}",
        '{"\\x":1}',
        '{"a":[1}',
        '{"a":["x}',
        '{"a":}',
        "[1,",
    ],
)
def test_spans_need_an_object_that_is_one(raw: str) -> None:
    with pytest.raises(RequestRefused, match="byte"):
        spans(raw.encode(), ("a",))


def test_the_text_to_route_by_is_the_last_user_message_cut_off() -> None:
    blocks = [{"type": "text", "text": "가" * 15_000}, {"type": "image"}, {"text": "나" * 15_000}]
    talk = [
        {"role": "user", "content": "first"},
        {"role": "user", "content": blocks},
        {"role": "assistant", "content": "mine"},
    ]
    asked = read_request(body(messages=talk))
    assert len(asked.text_of_last_user) == request.ROUTED_CHARACTERS
    assert asked.text_of_last_user.startswith("가")
    assert asked.text_of_last_user.endswith("나")
    assert asked.turns == 3
    assert read_request(body(messages=[])).text_of_last_user == ""
