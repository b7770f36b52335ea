"""What an answer costs that is cut off, helped by other models or not made at the listed price:
never less than the provider may charge.
"""

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from helios.domain.usage import Usage
from tests.domain.gateway.streams import block, delta, event
from tests.gateway.clients.rig import Books, Rig, gateway
from tests.gateway.recorder import Answer, plain, recorder
from tests.gateway.test_budget import HELLO, ask

CHEAP, DEAR = "claude-haiku-5-5", "claude-opus-5-5"
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
WORDS = (block(0, "text", text=""), delta(0, "text_delta", "text", "simulated: 몇 마디"))
CALL = (
    block(1, "tool_use", id="t", name="Read", input={}),
    delta(1, "input_json_delta", "partial_json", '{"path":"a"}'),
    event("content_block_stop", index=1),
)
COMPACT = {"context_management": {"edits": [{"type": "compact_20260112"}]}}


def start(**usage: Any) -> bytes:
    told = {"input_tokens": 1000, "output_tokens": 1, **usage}
    return event("message_start", message={"id": "m", "model": CHEAP, "usage": told})


def end(**usage: Any) -> tuple[bytes, bytes]:
    told = event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage)
    return told, event("message_stop")


def stream(*events: bytes, kind: bytes = b"text/event-stream", status: int = 200) -> Answer:
    """These events, and then the connection ends; what is counted has a token for each letter."""

    def give(connection: socket.socket, body: bytes) -> None:
        asked = json.loads(body)
        if "max_tokens" not in asked:
            letters = sum(len(part["text"]) for part in asked["messages"][0]["content"])
            plain(200, b'{"input_tokens":%d}' % letters)(connection, body)
            return
        head = b"HTTP/1.1 %d Told\r\ncontent-type: %s\r\nconnection: close\r\n\r\n"
        connection.sendall(head % (status, kind) + b"".join(events))
        connection.shutdown(socket.SHUT_RDWR)

    return give


def told(model: str, **usage: Any) -> Answer:
    """A whole message."""
    message = {"type": "message", "id": "m", "model": model, "content": [], "usage": usage}
    return plain(200, json.dumps(message).encode())


def charged(tmp_path: Path, answer: Answer, **fields: Any) -> tuple[int, int, Rig]:
    """What it was held at and charged, in millionths of a dollar; the same in the reports."""
    with (
        recorder(answer) as upstream,
        gateway(tmp_path / "집", HELLO, simulator_url=upstream.url) as rig,
    ):
        ask(rig.url, **fields)
        settled = rig.settled()
        query = "SELECT estimate, charged FROM ledger_lines WHERE limit_key LIKE '%oracle%microusd'"
        ((held, spent),) = rig._rows(query)
        assert rig.reported() == settled == Books(spent, 1)
        return held, spent, rig


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({"tools": [SEARCH]}, WORDS),
        ({"tools": [SEARCH]}, (*WORDS, block(1, "server_tool_use", id="s", name="web_search"))),
        ({}, (block(0, "server_tool_use", id="s", name="web_search"), *WORDS[1:])),
        ({}, (*WORDS, block(1, "compaction", content=None))),
        ({}, (block(0, "unheard_of"),)),
        (COMPACT, WORDS),
        ({"fallbacks": [{"model": DEAR}]}, WORDS),
    ],
)
def test_a_cut_stream_is_charged_its_bound_where_it_may_have_taken_more_than_is_seen(
    tmp_path: Path, fields: dict[str, Any], seen: Sequence[bytes]
) -> None:
    held, spent, _ = charged(tmp_path, stream(start(), *seen), stream=True, **fields)
    assert spent == held


def test_a_cut_stream_of_text_and_calls_is_charged_what_is_seen(tmp_path: Path) -> None:
    held, spent, rig = charged(tmp_path, stream(start(), *WORDS, *CALL), stream=True)
    letters = len('simulated: 몇 마디Read{"path":"a"}')
    assert spent == rig.house.catalogue.model(CHEAP).cost_microusd(Usage(1000, letters)) < held


def test_a_count_in_mid_stream_is_not_the_last_one(tmp_path: Path) -> None:
    early = event("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 2})
    _, spent, rig = charged(tmp_path, stream(start(), *WORDS, early, *CALL), stream=True)
    letters = len('simulated: 몇 마디Read{"path":"a"}')
    assert spent == rig.house.catalogue.model(CHEAP).cost_microusd(Usage(1000, letters))


@pytest.mark.parametrize(
    ("answer", "streamed"),
    [
        (told(CHEAP, input_tokens=9, output_tokens=7, cache_creation_input_tokens=500), False),
        (
            stream(
                start(
                    input_tokens=9,
                    cache_creation={"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                ),
                *WORDS,
                *end(input_tokens=9, output_tokens=7, cache_creation_input_tokens=500),
            ),
            True,
        ),
    ],
)
def test_what_is_not_named_as_short_is_an_hour_in_the_cache_where_that_was_asked(
    tmp_path: Path, answer: Answer, streamed: bool
) -> None:
    kept = {"type": "text", "text": "가", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    _, spent, rig = charged(tmp_path, answer, stream=streamed, system=[kept])
    model = rig.house.catalogue.model(CHEAP)
    assert spent == model.cost_microusd(Usage(9, 7, 500, 0, 500))
    assert spent > model.cost_microusd(Usage(9, 7, 500))


def test_a_later_count_of_nothing_does_not_take_back_an_earlier_one(tmp_path: Path) -> None:
    answer = stream(start(), *WORDS, *end(input_tokens=0, output_tokens=7))
    _, spent, rig = charged(tmp_path, answer, stream=True)
    assert spent == rig.house.catalogue.model(CHEAP).cost_microusd(Usage(1000, 7))


FALLBACK = {"model": DEAR, "fallbacks": [{"model": CHEAP}]}
TURN = {"input_tokens": 50_000, "output_tokens": 3_000}


def test_with_models_to_fall_back_on_the_dearest_is_charged(tmp_path: Path) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 10}
    _, spent, rig = charged(tmp_path, told(CHEAP, **usage), **FALLBACK)
    assert spent == rig.house.catalogue.model(DEAR).cost_microusd(Usage(1000, 10))


def test_turns_that_the_totals_leave_out_are_charged_each_at_its_own_price(tmp_path: Path) -> None:
    last = {"input_tokens": 1000, "output_tokens": 1000}
    turns = [
        {"type": "message", "model": DEAR, **TURN},
        {"type": "fallback_message", "model": CHEAP, **last},
    ]
    answer = told(CHEAP, **last, iterations=turns)
    _, spent, rig = charged(tmp_path, answer, **FALLBACK)
    dear, cheap = rig.house.catalogue.model(DEAR), rig.house.catalogue.model(CHEAP)
    assert spent == dear.cost_microusd(Usage(50_000, 3_000)) + cheap.cost_microusd(
        Usage(1000, 1000)
    )
    assert rig._rows("SELECT input_tokens, output_tokens FROM spends") == [(51_000, 4_000)]


def test_turns_that_the_totals_count_are_charged_once(tmp_path: Path) -> None:
    turns = [{"type": "message", **TURN}, {"type": "message", **TURN}]
    whole = {"input_tokens": 100_000, "output_tokens": 6_000, "iterations": turns}
    _, spent, rig = charged(tmp_path, told(CHEAP, **whole))
    assert spent == rig.house.catalogue.model(CHEAP).cost_microusd(Usage(100_000, 6_000))


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_made_in_the_us_alone_costs_a_tenth_more(tmp_path: Path, streamed: bool) -> None:
    answer = (
        stream(start(inference_geo="us"), *WORDS, *end(output_tokens=7))
        if streamed
        else told(CHEAP, input_tokens=1000, output_tokens=7, inference_geo="us")
    )
    _, spent, rig = charged(tmp_path, answer, stream=streamed)
    listed = rig.house.catalogue.model(CHEAP).cost_microusd(Usage(1000, 7))
    assert spent == -(-listed * 11 // 10) > listed


@pytest.mark.parametrize("dear", [{"speed": "fast"}, {"inference_geo": "달"}])
def test_without_a_known_price_the_bound_is_charged(tmp_path: Path, dear: dict[str, str]) -> None:
    answer = told(CHEAP, input_tokens=10, output_tokens=7, **dear)
    held, spent, _ = charged(tmp_path, answer)
    assert spent == held


def test_the_kind_of_an_answer_is_known_in_any_case(tmp_path: Path) -> None:
    events = (start(), *WORDS, *end(output_tokens=7))
    answer = stream(*events, kind=b"Text/Event-Stream; Charset=UTF-8")
    _, spent, rig = charged(tmp_path, answer, stream=True)
    assert spent == rig.house.catalogue.model(CHEAP).cost_microusd(Usage(1000, 7))
