"""Whatever makes the provider read more than was sent, or charge otherwise, is noticed."""

from typing import Any

import pytest

from helios.domain.gateway.request import Asked, read_request
from tests.domain.gateway.bodies import body


def said(*blocks: Any) -> Asked:
    return read_request(body(messages=[{"role": "user", "content": list(blocks)}]))


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
        {"type": "document", "source": {"type": "file", "file_id": "f"}},
        {"type": "document", "source": {"type": "base64", "data": "JVBERi0="}},
        {"type": "document", "source": {"type": "something new"}},
    ],
)
def test_what_only_the_provider_can_count_is_found_at_any_depth(block: dict[str, Any]) -> None:
    fetched = {"type": "web_fetch_result", "content": block}
    held = {"type": "document", "source": {"type": "content", "content": [block]}}
    for place in (block, held, {"type": "tool_result", "content": [block]}, {"content": fetched}):
        asked = said({"type": "text", "text": "보세요"}, place)
        assert asked.needs_count
        assert asked.unbounded


def test_a_file_in_the_system_prompt_or_a_reference_to_a_tool() -> None:
    block = {"type": "document", "source": {"type": "file", "file_id": "f"}}
    assert read_request(body(system=[block])).needs_count
    assert said({"type": "tool_addition", "tool": {"type": "tool_reference"}}).rounds == 0
    assert read_request(body(fallbacks=[{"model": "m", "max_tokens": "9"}])).fallbacks == (
        ("m", 0),
    )


def test_thoughts_are_noticed() -> None:
    thoughts = [{"type": "thinking", "thinking": "음"}, {"type": "redacted_thinking", "data": "x"}]
    assert all(said(thought).has_thinking_blocks for thought in thoughts)
    assert not said({"type": "text", "text": "thinking"}).has_thinking_blocks


def test_texts_and_pictures_sent_along_are_bounded() -> None:
    asked = said(
        {"type": "image", "source": {"type": "base64", "data": "A" * 40}},
        {"type": "document", "source": {"type": "text", "data": "글"}},
        {"type": "tool_use", "input": {"source": {"type": "url"}}},
        {"type": "search_result", "source": "https://example.org", "content": []},
        "odd",
    )
    assert asked.unbounded == ()
    assert (asked.images, asked.image_characters) == (1, 40)


@pytest.mark.parametrize(
    "kind", ["custom", None, "bash_20250124", "text_editor_20250728", "computer_toolset_20260801"]
)
def test_tools_that_the_client_runs_read_nothing_more(kind: str | None) -> None:
    asked = read_request(body(tools=[{"type": kind, "name": "t", "max_uses": 3}]))
    assert (asked.unbounded, asked.rounds, asked.unpriced) == ((), 0, "")
    described = {None: 0, "custom": 0, "computer_toolset_20260801": 5_000}.get(kind, 1_500)
    assert asked.tool_tokens == described
    added = {"type": "tool_addition", "tool": {"definition": {"type": kind, "name": "t"}}}
    assert said(added).tool_tokens == described


@pytest.mark.parametrize(
    ("tools", "uses", "rounds"),
    [
        ([{"type": "web_search_20260318", "max_uses": 3}], 3, 4),
        ([{"type": "web_search_20260318", "max_uses": 50}], 50, 10),
        ([{"type": "web_search_20260318"}], None, 10),
        ([{"type": "web_fetch_20260318", "max_uses": True}], None, 10),
        ([{"type": "web_search_1", "max_uses": 2}, {"type": "web_fetch_1", "max_uses": 1}], 3, 4),
        ([{"type": "web_search_1", "max_uses": 2}, {"type": "code_execution_1"}], None, 10),
    ],
)
def test_tools_that_the_provider_runs_are_bounded_by_uses_or_its_loop(
    tools: list[Any], uses: int | None, rounds: int
) -> None:
    asked = read_request(body(tools=tools))
    assert (asked.server_tool_uses, asked.rounds) == (uses, rounds)
    assert asked.unbounded
    assert not asked.unpriced
    added = [{"type": "tool_addition", "tool": {"definition": tool}} for tool in tools]
    assert said(*added).rounds == rounds


@pytest.mark.parametrize("name", ["mcp_servers", "container"])
def test_servers_and_containers_make_the_provider_read_on(name: str) -> None:
    assert read_request(body(**{name: [{"x": 1}]})).rounds == 10


def test_a_thread_and_a_summary_are_noticed() -> None:
    assert read_request(body(thread={"type": "continue"})).remote_context
    edits = {"edits": [{"type": "clear_thinking_20251015"}, {"type": "compact_20260112"}]}
    assert read_request(body(context_management=edits)).compaction
    assert read_request(body(compaction={"type": "summarize"})).compaction
    harmless = body(context_management={"edits": [{"type": "clear_thinking_20251015"}]})
    assert read_request(harmless).unbounded == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"speed": "fast"},
        {"inference_geo": "us"},
        {"service_tier": "flex"},
        {"fallbacks": "default"},
        {"fallbacks": [{"model": "m", "speed": "fast"}]},
        {"tools": [{"type": "advisor_20260301", "model": "m"}]},
    ],
)
def test_what_makes_the_price_unknown_is_named(fields: dict[str, Any]) -> None:
    asked = read_request(body(**fields))
    assert asked.unpriced
    assert next(iter(fields)).rstrip("s") in asked.unpriced or "advisor" in asked.unpriced


def test_ordinary_settings_have_a_price() -> None:
    fields = {"speed": None, "inference_geo": "global", "service_tier": "auto", "fallbacks": []}
    assert read_request(body(**fields)).unpriced == ""


def test_models_to_fall_back_on_are_told_with_their_own_lengths() -> None:
    asked = read_request(body(fallbacks=[{"model": "a"}, {"model": "b", "max_tokens": 900}]))
    assert asked.fallbacks == (("a", 0), ("b", 900))
    assert asked.unpriced == ""
