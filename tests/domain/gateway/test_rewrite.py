"""One thing is changed, and every other byte is as the client wrote it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.gateway.rewrite import with_max_tokens, with_model, without_thinking
from helios.errors import RequestRefused
from tests.domain.gateway.bodies import TEXTS, VALUES, written


@given(st.dictionaries(TEXTS, VALUES, max_size=5), VALUES, TEXTS, st.data())
def test_only_the_model_is_another(
    more: dict[str, Any], old: Any, name: str, data: st.DataObject
) -> None:
    whole = {**more, "model": old}
    raw = data.draw(written(whole)).encode()
    changed = with_model(raw, name)
    assert json.loads(changed) == {**whole, "model": name}
    assert with_model(changed, name) == changed
    kept = with_model(changed, "x")
    start = kept.index(b'"x"') if kept.count(b'"x"') == 1 else 0
    assert kept[:start] == raw[:start]


@given(st.dictionaries(TEXTS, VALUES, max_size=5), st.integers(0, 10**7), st.data())
def test_only_the_length_is_another(more: dict[str, Any], n: int, data: st.DataObject) -> None:
    whole = {**more, "max_tokens": 128_000}
    raw = data.draw(written(whole)).encode()
    assert json.loads(with_max_tokens(raw, n)) == {**whole, "max_tokens": n}


def test_what_is_not_there_cannot_be_changed() -> None:
    with pytest.raises(RequestRefused, match="max_tokens"):
        with_max_tokens(b'{"messages":[{"max_tokens":1}]}', 5)


THOUGHTS = st.sampled_from(
    [{"type": "thinking", "thinking": "{흠}", "signature": "s"}, {"type": "redacted_thinking"}]
)
BLOCKS = THOUGHTS | st.sampled_from(
    [
        {"type": "text", "text": '"type":"thinking"', "cache_control": {"type": "ephemeral"}},
        {"type": "tool_use", "id": "t", "name": "n", "input": {"type": "thinking", "x": [1.50]}},
        {"type": "tool_result", "content": [{"type": "thinking"}]},
        "odd",
    ]
)
MESSAGES = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant"]),
        "content": st.just("글") | st.lists(BLOCKS, max_size=4),
    }
)


def thoughtless(messages: list[Any]) -> list[Any]:
    """The same in the simplest way there is."""
    kept: list[Any] = []
    for message in messages:
        blocks = message["content"]
        if message["role"] == "assistant" and isinstance(blocks, list) and blocks:
            rest = [b for b in blocks if b == "odd" or "thinking" not in b["type"]]
            if rest:
                kept.append({**message, "content": rest})
        else:
            kept.append(message)
    return kept or messages


@given(st.lists(MESSAGES, max_size=6), st.dictionaries(TEXTS, VALUES, max_size=2), st.data())
def test_thoughts_are_cut_out_of_what_the_assistant_said_and_nothing_else(
    messages: list[Any], more: dict[str, Any], data: st.DataObject
) -> None:
    whole = {**more, "messages": messages, "thinking": {"type": "adaptive"}}
    raw = data.draw(written(whole)).encode()
    cut = without_thinking(raw)
    assert json.loads(cut) == {**whole, "messages": thoughtless(messages)}
    if thoughtless(messages) == messages:
        assert cut == raw


SETTINGS: dict[str, Any] = {
    "thinking": {"type": "enabled"},
    "output_config": {"effort": "high", "format": {"type": "json_schema"}},
    "context_management": {"edits": [{"type": "clear_thinking_20251015"}, {"type": "clear_tool"}]},
}


def test_a_thought_whose_name_is_escaped_is_one() -> None:
    said = b'{"role":"assistant","content":[{"type":"\\u0074hinking"},{"type":"text"}]}'
    lean = json.loads(without_thinking(b'{"messages":[' + said + b"]}"))
    assert lean["messages"][0]["content"] == [{"type": "text"}]


def test_the_only_setting_goes_with_its_commas() -> None:
    for raw in (
        b'{"thinking":{}}',
        b'{"context_management":{"edits":[{"type":"clear_thinking_1"}]}}',
    ):
        lean = without_thinking(raw, takes_thinking=False)
        assert json.loads(lean) in ({}, {"context_management": {"edits": []}})


def test_messages_of_no_known_shape_are_left_alone() -> None:
    for odd in (b'"x"', b"[1]", b'[{"role":"assistant","content":"thinking"}]', b"[{}]"):
        raw = b'{"messages":' + odd + b',"context_management":{"edits":"x"},"output_config":1}'
        assert without_thinking(raw, takes_thinking=False, takes_effort=False) == raw


@given(st.permutations(["model", *SETTINGS]), st.data())
def test_settings_go_only_where_the_new_model_does_not_take_them(
    order: list[str], data: st.DataObject
) -> None:
    all_fields = {"model": "m", **SETTINGS}
    raw = data.draw(written({name: all_fields[name] for name in order})).encode()
    assert without_thinking(raw) == raw
    lean = json.loads(without_thinking(raw, takes_thinking=False))
    assert lean == {
        "model": "m",
        "output_config": SETTINGS["output_config"],
        "context_management": {"edits": [{"type": "clear_tool"}]},
    }
    leaner = json.loads(without_thinking(raw, takes_effort=False))
    assert leaner == {**all_fields, "output_config": {"format": {"type": "json_schema"}}}
