"""What is charged for answers that break off or fail: what came, where that is all there was."""

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from helios.domain.usage import Usage
from helios.services.responses import cut_stream
from tests.domain.gateway.streams import ERROR, block, delta, event
from tests.gateway.clients.rig import Books, gateway
from tests.gateway.recorder import Answer, plain, recorder
from tests.gateway.test_budget import HELLO, ask
from tests.gateway.test_dear_answers import CALL, CHEAP, WORDS, charged, start, stream

MOST = 700
"""The `max_tokens` asked for."""
CLOSED = event("content_block_stop", index=0)
THOUGHT = (
    block(0, "thinking", thinking=""),
    delta(0, "thinking_delta", "thinking", "음, 어디 보자"),
)
UNREAD = b'data: {"type":"content_block_delta","index":0\n\n'
THINKS = {"thinking": {"type": "adaptive"}}
LONG = {"max_tokens": MOST, "messages": [{"role": "user", "content": "단어 " * 10_000}]}
API_ERROR = '{"type":"error","error":{"type":"api_error","message":"내부 오류"}}'.encode()


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({}, CALL[:1]),
        ({}, CALL[:2]),
        ({}, (*WORDS, CLOSED, *CALL[:2])),
        ({}, THOUGHT),
        ({}, (*THOUGHT, CLOSED, *CALL)),
        ({}, (block(0, "redacted_thinking", data="c2ln"), CLOSED)),
        ({}, WORDS[1:]),
        ({}, (*WORDS, UNREAD)),
        (THINKS, ()),
        (THINKS, (*WORDS, CLOSED)),
    ],
)
def test_where_more_may_have_been_written_than_came_all_output_is_charged(
    tmp_path: Path, fields: dict[str, Any], seen: Sequence[bytes]
) -> None:
    answer = stream(start(cache_read_input_tokens=500), *seen)
    held, spent, rig = charged(tmp_path, answer, stream=True, **LONG, **fields)
    model = rig.house.catalogue.model(CHEAP)
    assert spent == model.cost_microusd(Usage(1000, MOST, 0, 500)) < held


@pytest.mark.parametrize("fields", [{}, THINKS])
def test_where_all_came_that_is_charged(tmp_path: Path, fields: dict[str, Any]) -> None:
    seen = (*CALL, *WORDS)
    _, spent, rig = charged(tmp_path, stream(start(), *seen), stream=True, **LONG, **fields)
    letters = len('simulated: 몇 마디Read{"path":"a"}')
    assert spent == rig.house.catalogue.model(CHEAP).cost_microusd(Usage(1000, letters))


def test_where_nobody_counts_all_output_is_charged(tmp_path: Path) -> None:
    cut = stream(start(), *WORDS)

    def answer(connection: socket.socket, body: bytes) -> None:
        counts = "max_tokens" not in json.loads(body)
        (plain(529, b"{}") if counts else cut)(connection, body)

    _, spent, rig = charged(tmp_path, answer, stream=True, **LONG)
    assert spent == rig.house.catalogue.model(CHEAP).cost_microusd(Usage(1000, MOST))


def settled(tmp_path: Path, answer: Answer, **fields: Any) -> Books:
    with (
        recorder(answer) as upstream,
        gateway(tmp_path / "집", HELLO, simulator_url=upstream.url) as rig,
    ):
        ask(rig.url, **fields)
        books = rig.settled()
        assert rig.reported() == books
        return books


@pytest.mark.parametrize(
    ("events", "messages"),
    [
        ((ERROR,), 0),
        ((event("ping"), ERROR), 0),
        ((start(), ERROR), 1),
        ((UNREAD, ERROR), 1),
        ((*WORDS, ERROR), 1),
        ((event("ping"),), 1),
    ],
)
def test_a_stream_that_is_an_error_and_nothing_else_costs_nothing(
    tmp_path: Path, events: Sequence[bytes], messages: int
) -> None:
    assert settled(tmp_path, stream(*events), stream=True).messages == messages


def cut_short(connection: socket.socket, _: bytes) -> None:
    head = b"HTTP/1.1 500 Told\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n"
    connection.sendall(head + API_ERROR)
    connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("answer", "messages"),
    [
        (plain(500, API_ERROR), 0),
        (plain(501, API_ERROR), 0),
        (plain(502, API_ERROR), 1),
        (plain(504, API_ERROR), 1),
        (plain(500, b"<html>500</html>"), 1),
        (plain(520, b""), 1),
        (plain(201, API_ERROR), 1),
        (cut_short, 1),
    ],
)
def test_an_error_that_the_api_tells_itself_costs_nothing(
    tmp_path: Path, answer: Answer, messages: int
) -> None:
    assert settled(tmp_path, answer).messages == messages


def test_the_kinds_that_are_read_once_are_the_models_own() -> None:
    assert not {"server_tool_use", "compaction", "fallback"} & cut_stream._READ_ONCE
