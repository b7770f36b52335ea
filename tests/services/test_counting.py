"""A count is asked for in its own words, and an answer that comes later is not taken for no."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from anthropic.types.beta import MessageCountTokensParams
from anthropic.types.beta.message_create_params import MessageCreateParamsBase

from helios.domain.gateway.json_spans import Item
from helios.errors import Overloaded
from helios.ports.upstream import Headers, UpstreamRequest
from helios.services.responses import counting
from helios.services.responses.counting import count_input

HEADERS_ONLY = {"betas", "user_profile_id", "workspace_id"}
"""What the SDK sends as headers."""
SAID = [{"role": "user", "content": "안녕"}]
SMALL: dict[str, Any] = {"model": "claude-haiku-5-5", "messages": SAID}


class Answer:
    def __init__(self, status: int, body: bytes, headers: Headers) -> None:
        self.status = status
        self.headers = headers
        self._body = body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def close(self) -> None:
        pass


class Counter:
    """An upstream that answers as it is told and keeps what was asked."""

    name = "counter"
    simulated = False

    def __init__(
        self, status: int = 200, body: bytes = b'{"input_tokens":7}', wait: str = ""
    ) -> None:
        self._answer = status, body, ((b"retry-after", wait.encode()),) if wait else ()
        self.asked: list[UpstreamRequest] = []

    async def send(self, request: UpstreamRequest) -> Answer:
        self.asked.append(request)
        return Answer(*self._answer)

    async def close(self) -> None:
        pass


def counted(upstream: Counter, fields: dict[str, Any]) -> int | None:
    body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    return asyncio.run(count_input(upstream, (), body))


def test_only_what_a_count_takes_is_sent_and_as_it_was_written() -> None:
    upstream = Counter()
    every = dict.fromkeys(MessageCreateParamsBase.__annotations__, 1) | {"something_new": 1}
    assert {"service_tier", "container", "fallbacks", "metadata", "max_tokens"} <= set(every)
    fields = {name: every[name] for name in every if name not in SMALL} | SMALL
    tokens = counted(upstream, {**fields, "stream": True})
    (asked,) = upstream.asked
    sent = json.loads(asked.body)
    assert set(sent) == set(MessageCountTokensParams.__annotations__) - HEADERS_ONLY
    assert all(sent[name] == fields[name] for name in sent)
    assert '"안녕"'.encode() in asked.body
    left_out = sum(len(f'"{name}":1,') for name in fields if name not in sent)
    assert tokens == 7 + left_out + len('"stream":true,')


def test_a_small_request_is_what_is_counted() -> None:
    assert counted(Counter(), SMALL) == 7


def test_a_large_body_is_cut_up_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[bool] = []
    items = counting.items

    def noting(body: bytes) -> Iterable[Item]:
        threads.append(threading.current_thread() is threading.main_thread())
        return items(body)

    monkeypatch.setattr(counting, "items", noting)
    assert counted(Counter(), {**SMALL, "system": "글" * 100_000}) == 7
    assert counted(Counter(), SMALL) == 7
    assert threads == [False, True]


@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_what_may_be_counted_later_is_no_refusal(status: int) -> None:
    with pytest.raises(Overloaded) as unavailable:
        counted(Counter(status, b"{}", "9"), SMALL)
    assert (unavailable.value.retry_after_s, unavailable.value.billed) == (9.0, "no")


@pytest.mark.parametrize("wait", ["", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "nan"])
def test_a_time_that_cannot_be_read_is_none(wait: str) -> None:
    with pytest.raises(Overloaded) as unavailable:
        counted(Counter(529, b"{}", wait), SMALL)
    assert unavailable.value.retry_after_s is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b"{}"),
        (404, b"not here"),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"input_tokens":-1}'),
        (200, b'{"input_tokens":true}'),
        (200, b" " * 70_000),
    ],
)
def test_where_nothing_is_counted_there_is_no_count(status: int, body: bytes) -> None:
    assert counted(Counter(status, body), SMALL) is None
