"""The meter tells of a stream what came, however it was cut, and nothing makes it fail."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.gateway.events import EventSplitter
from helios.domain.gateway.sse import Meter, Seen
from helios.domain.gateway.usage import MOST_COUNTED, Rate
from helios.domain.usage import Usage
from tests.domain.gateway.streams import (
    ANY_STREAM,
    ERROR,
    EVENTS,
    PLACES,
    STREAM,
    block,
    cut,
    delta,
    event,
    metered,
    start,
)

WHOLE = Usage(25, 57, 40, 7, 30)


def test_a_whole_stream_tells_everything() -> None:
    told, seen, truncated = metered([STREAM])
    assert told.usage == WHOLE
    assert told.server_tools == {"web_search_requests": 2}
    assert (told.started, told.output_known, told.stopped) == (True, True, True)
    assert (told.stop_reason, told.model, told.message_id) == ("tool_use", "claude-x", "msg_1")
    assert (told.error, told.malformed, told.oversize, truncated) == (None, 0, False, False)
    assert seen == (
        Seen(0, "thinking", "", "생각 ", closed=True),
        Seen(1, "text", "", '그래요 data: "}\n'),
        Seen(2, "tool_use", "Read", '{"path":"a"}'),
    )


@pytest.mark.parametrize("count", range(len(EVENTS) + 1))
def test_a_cut_stream_tells_what_had_come(count: int) -> None:
    told, seen, _ = metered(EVENTS[:count])
    ended = count >= len(EVENTS) - 1
    assert told.started == (count > 0)
    assert told.output_known == ended
    assert told.usage == (
        None if not count else WHOLE if ended else replace(WHOLE, output_tokens=1)
    )
    text = "".join(part.text for part in seen)
    assert len(text) == sum((0, 0, 0, 3, 0, 0, 1, 3, 9, 0, 8, 4, 0, 0)[:count])


@given(
    PLACES,
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.sampled_from([0, 1, 2]),
)
def test_chunks_line_ends_marks_and_a_missing_end_change_nothing(
    places: list[int], end: bytes, mark: bytes, missing: int
) -> None:
    stream = mark + STREAM.replace(b"\n", end).removesuffix(end * missing)
    assert metered(cut(stream, places)) == metered([STREAM])


@given(ANY_STREAM, PLACES)
def test_any_bytes_are_read_the_same_however_they_are_cut(stream: bytes, places: list[int]) -> None:
    limits = {"largest_event": 250, "most_seen": 400}
    chunks = cut(stream, places)
    assert metered(chunks, **limits) == metered([stream], **limits)
    assert metered(chunks) == metered([stream]) == metered(bytes([b]) for b in stream)


@given(ANY_STREAM)
def test_nothing_is_told_that_did_not_come(stream: bytes) -> None:
    told, seen, _ = metered([stream])
    for text in (told.model, told.message_id, told.stop_reason):
        assert json.dumps(text, ensure_ascii=False)[1:-1].encode() in stream or "\\" in repr(text)
    usage = told.usage or Usage()
    assert 0 <= usage.cache_write_1h_tokens <= usage.cache_write_tokens
    assert max(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) <= MOST_COUNTED
    assert sum(len(part.text) for part in seen) <= len(stream)
    assert told.started or not told.message_id


def test_a_mark_before_the_first_line_is_no_part_of_it() -> None:
    assert metered([b"\xef\xbb", b"\xbf" + start().split(b"\n", 1)[1]])[0].started


def test_an_event_that_the_end_cuts_off_is_not_called_malformed() -> None:
    told = metered([STREAM[:-12]])[0]
    assert (told.malformed, told.stopped, told.usage) == (0, False, WHOLE)


def test_lines_of_one_event_are_joined_and_comments_passed_over() -> None:
    split = EventSplitter()
    raw = b": hi\nid: 7\nevent:a\ndata:1\ndata\ndata:  2\nretry: 3\nx\n\nevent: lost\n\ndata: 3\n\n"
    assert split.feed(raw) == [(b"a", b"1\n\n 2"), (b"", b"3")]
    assert split.close() == []


def test_an_event_that_is_too_large_is_passed_over_and_the_next_is_read() -> None:
    large = block(5, "text", text="x" * 500)
    told, seen, _ = metered([start(), large, *EVENTS[1:]], largest_event=400)
    assert told.oversize
    assert told.stopped
    assert [part.index for part in seen] == [0, 1, 2]
    assert not metered([STREAM], largest_event=400)[0].oversize


def test_an_endless_line_or_event_does_not_fill_the_memory() -> None:
    for endless in (b"data: " + b"x" * 1000, b"data:\n" * 200):
        meter = Meter(largest_event=10_000)
        for _ in range(1000):
            meter.feed(endless)
        splitter = meter._events
        assert sum(map(len, splitter._tail)) + sum(map(len, splitter._data)) <= 11_000
        assert len(splitter._data) <= 10_000
        assert meter.close().oversize


def test_texts_are_kept_up_to_a_bound_and_the_rest_is_said_to_be_missing() -> None:
    many = [delta(0, "text_delta", "text", "가나다라마바사아자차") for _ in range(5000)]
    _, seen, truncated = metered([start(), *many], most_seen=100_000)
    assert not truncated
    assert seen[0].text == "가나다라마바사아자차" * 5000
    _, seen, truncated = metered([start(), *many], most_seen=20_000)
    assert truncated
    assert 19_000 < len(seen[0].text) <= 20_000
    starts = [block(index, "text") for index in range(1000)]
    assert len(metered(starts, most_seen=6400)[1]) == 100


def test_the_larger_count_stands_and_null_says_nothing() -> None:
    later = event(
        "message_delta",
        delta={},
        usage={"output_tokens": 9, "input_tokens": 80, "cache_read_input_tokens": None},
    )
    assert metered([start(cache_read_input_tokens=5), later])[0].usage == Usage(80, 9, 0, 5)


def test_a_smaller_count_later_takes_nothing_back() -> None:
    later = event("message_delta", delta={}, usage={"output_tokens": 0, "input_tokens": 0})
    assert metered([start(cache_read_input_tokens=5), later])[0].usage == Usage(25, 1, 0, 5)


def test_counts_within_counts_are_not_taken_back_either() -> None:
    began = {
        "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": None},
        "cache_creation_input_tokens": 1000,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1000},
    }
    later = {
        "output_tokens": 5,
        "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 2, "new": None},
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    }
    told = metered([start(**began), event("message_delta", delta={}, usage=later)])[0]
    assert told.server_tools == {"web_search_requests": 3, "web_fetch_requests": 2}
    assert told.usage == Usage(25, 5, 1000, 0, 1000)
    wrong = {**later, "server_tool_use": {"web_search_requests": -1}}
    told = metered([start(**began), event("message_delta", delta={}, usage=wrong)])[0]
    assert told.usage is None


def test_messages_that_follow_each_other_in_one_stream_are_all_billed() -> None:
    def ends(**usage: object) -> bytes:
        return event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage)

    first = [start(), ends(output_tokens=300, server_tool_use={"web_search_requests": 1})]
    second = [start(input_tokens=9, inference_geo="us"), ends(output_tokens=4)]
    told = metered([*first, *second, event("message_stop")])[0]
    assert told.usage == Usage(34, 304)
    assert told.iterations == (("claude-x", Usage(25, 300)), ("claude-x", Usage(9, 4)))
    assert (told.server_tools, told.rate) == ({"web_search_requests": 1}, Rate.US)
    assert metered([*first, *first, *first])[0].usage == Usage(75, 900)
    for not_told in ([*first, second[0]], [first[0], *second], [first[0], *second, *first]):
        assert metered(not_told)[0].usage is None


def test_which_blocks_have_come_to_their_end_is_told() -> None:
    begun = block(0, "tool_use", name="쓰기")
    ends = event("content_block_stop", index=0)
    piece = delta(0, "input_json_delta", "partial_json", '{"a":')
    for stream, closed in (
        ([begun, piece], False),
        ([begun, piece, ends], True),
        ([begun, event("content_block_stop", index=1)], False),
        ([begun, ends, begun], False),
    ):
        assert metered([start(), *stream])[1][0].closed is closed


def test_output_is_known_only_at_the_end() -> None:
    counts = event("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 9})
    ends = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9})
    text, stop = block(1, "text", text="그"), event("message_stop")
    for stream, known in (
        ([counts], False),
        ([counts, stop], True),
        ([ends], True),
        ([ends, text], False),
        ([ends, text, counts, stop], True),
        ([event("message_delta", delta={"stop_reason": "end_turn"}, usage={})], False),
    ):
        assert metered([start(), *stream])[0].output_known is known


def test_places_speeds_and_single_turns_are_told() -> None:
    turn = {"type": "message", "model": "클로드", "input_tokens": 25, "output_tokens": 9}
    ends = event("message_delta", delta={}, usage={"output_tokens": 9, "iterations": [turn]})
    told = metered([start(inference_geo="us"), ends])[0]
    assert (told.rate, told.iterations) == (Rate.US, (("클로드", Usage(25, 9)),))
    assert metered([start(speed="fast"), ends])[0].rate is Rate.UNKNOWN


@pytest.mark.parametrize("wrong", [-1, True, 1.5, "9", 10**20, [], {}])
def test_a_count_that_makes_no_sense_leaves_the_usage_unknown(wrong: object) -> None:
    told = metered([start(), event("message_delta", delta={}, usage={"output_tokens": wrong})])[0]
    assert told.usage is None
    assert not told.output_known


def test_a_start_that_tells_no_usage_leaves_it_unknown() -> None:
    told = metered([event("message_start", message={"id": "m"})])[0]
    assert (told.started, told.usage) == (True, None)


def test_an_error_in_the_stream_is_told() -> None:
    told = metered([*EVENTS[:5], ERROR])[0]
    assert told.error == ("overloaded_error", "과부하")
    assert not told.stopped


def test_events_that_cannot_be_read_are_counted_and_passed_over() -> None:
    wrong = b"event: x\ndata: {\n\n" + b"data: [1]\n\n" + b'data: "\xff"\n\n' + b"data: {}\n\n"
    told = metered([wrong, STREAM])[0]
    assert told.malformed == 3
    assert told.usage == WHOLE


def test_a_delta_with_its_fields_in_another_order_or_spaced_is_seen() -> None:
    raw = [
        b'data: {"index": 0, "type": "content_block_delta", "delta": '
        b'{"type": "text_delta", "text": "a"}}\n\n',
        b'data: {"type": "content_block_delta", "index": 0, "delta": '
        b'{"type": "text_delta", "text": "b"}}\n\n',
    ]
    assert metered(raw)[1:] == ((Seen(0, "", "", "ab"),), False)


@pytest.mark.parametrize(
    "unread",
    [
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"new","text":"c"}}\n\n',
        b'data: {"type":"content_block_delta","index":0,"delta":7}\n\n',
        b'data: {"type":"content_block_delta","index":0\n\n',
        b'data: {"type":"content_block_delta"},{"x":1}\n\n',
        b'data: {"type":"content_block_st\n\n',
        b"data: " + b"x" * 3000 + b"\n\n",
    ],
)
def test_what_came_and_could_not_be_read_is_said_to_be_missing(unread: bytes) -> None:
    _, seen, truncated = metered([*EVENTS[:9], unread], largest_event=2000)
    assert truncated
    assert seen[1].text.startswith("그래요 ")
    assert not metered(EVENTS[:9], largest_event=2000)[2]
