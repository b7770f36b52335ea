"""A request waits as long as there will be room for any of the forms in which it may be sent."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import httpx2
import pytest

from helios.domain.budget.account import LimitRule
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever, OpensOnUse, WindowRule
from helios.services.access import Access
from helios.services.responses import sizing
from tests.gateway.clients.rig import HOURS_5, Rig, gateway
from tests.gateway.recorder import plain, recorder
from tests.gateway.test_budget import HELLO, ask, error_of

CAP = 6_000
"""Millionths of a dollar: one long text, or 10,000 tokens of output."""
LONG: dict[str, Any] = {"messages": [{"role": "user", "content": "단어 " * 30_000}]}
"""210,000 bytes, but 30,000 tokens."""
PDF = {"type": "document", "source": {"type": "base64", "data": "AAAA"}}


class Provider:
    """Counts 30,000 tokens; answers once it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.count = plain(200, b'{"input_tokens":30000}')
        self.counts = 0
        self.sent: list[int] = []

    def __call__(self, connection: socket.socket, body: bytes) -> None:
        asked = json.loads(body)
        if "max_tokens" not in asked:
            self.counts += 1
            self.count(connection, body)
            return
        self.sent.append(asked["max_tokens"])
        self.let.wait(20)
        plain()(connection, body)

    def has_been_sent(self, number: int) -> None:
        deadline = perf_counter() + 20
        while len(self.sent) < number:
            assert perf_counter() < deadline
            sleep(0.01)


@contextmanager
def scene(tmp_path: Path, window: WindowRule, spent: int = 0) -> Iterator[tuple[Rig, Provider]]:
    provider = Provider()
    with (
        recorder(provider) as upstream,
        gateway(tmp_path / "집", HELLO, simulator_url=upstream.url) as rig,
    ):
        rig.limit(Unit.MICROUSD, CAP, window, spent=spent)
        try:
            yield rig, provider
        finally:
            provider.let.set()


@contextmanager
def two_at_once(
    rig: Rig, provider: Provider, **fields: Any
) -> Iterator[tuple["Future[httpx2.Response]", "Future[httpx2.Response]"]]:
    """The first is on its way and holds the room; the second has been held for a while."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, rig.url, **fields)
        provider.has_been_sent(1)
        second = pool.submit(ask, rig.url, **fields)
        sleep(0.5)
        yield first, second
        provider.let.set()


def test_what_fits_by_count_waits_for_room_that_is_held(tmp_path: Path) -> None:
    with scene(tmp_path, Forever()) as (rig, provider):
        with two_at_once(rig, provider, **LONG) as (first, second):
            assert not second.done()
        assert (first.result().status_code, second.result().status_code) == (200, 200)


def test_what_fits_with_less_output_waits_for_room_that_is_held(tmp_path: Path) -> None:
    with scene(tmp_path, Forever()) as (rig, provider):
        with two_at_once(rig, provider, max_tokens=60_000) as (first, second):
            assert not second.done()
        assert (first.result().status_code, second.result().status_code) == (200, 200)
        assert all(4096 <= tokens < 60_000 for tokens in provider.sent)


def test_what_fits_by_count_waits_for_the_next_window(tmp_path: Path) -> None:
    with scene(tmp_path, OpensOnUse(2.0), spent=CAP - 1_000) as (rig, provider):
        provider.let.set()
        assert ask(rig.url, **LONG).status_code == 200
    with scene(tmp_path / "later", OpensOnUse(HOURS_5), spent=CAP - 1_000) as (rig, _):
        answer = ask(rig.url, **LONG)
        assert error_of(answer) == (429, "rate_limit_error")
        assert HOURS_5 - 60 < int(answer.headers["retry-after"]) <= HOURS_5 + 1


def test_what_fits_in_no_form_is_402_at_once(tmp_path: Path) -> None:
    with scene(tmp_path, OpensOnUse(HOURS_5)) as (rig, provider):
        provider.count = plain(200, b'{"input_tokens":200000}')
        began = perf_counter()
        answer = ask(rig.url, **LONG)
        assert error_of(answer) == (402, "billing_error")
        assert perf_counter() - began < 20  # it is held for 60 s where it helps
        assert provider.sent == []


def test_it_is_counted_once_however_often_it_is_tried(tmp_path: Path) -> None:
    with scene(tmp_path, Forever()) as (rig, provider):
        with two_at_once(rig, provider, **LONG) as (_, second):
            for number in range(5):  # each frees some room, and wakes who waits
                _free_some(rig, f"other-{number}")
                sleep(0.1)
            assert not second.done()
        assert second.result().status_code == 200
        assert provider.counts == 2


@pytest.mark.parametrize("pause_s", [0.0, sizing.COUNT_AGAIN_S])
def test_a_count_that_failed_is_tried_again_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pause_s: float
) -> None:
    monkeypatch.setattr(sizing, "COUNT_AGAIN_S", pause_s)
    provider = Provider()
    provider.count = plain(529, b"{}")
    with (
        recorder(provider) as upstream,
        gateway(tmp_path / "집", HELLO, simulator_url=upstream.url) as rig,
    ):
        rig.limit(Unit.MICROUSD, 3 * CAP, Forever())  # room for its bytes once
        long = [{"role": "user", "content": "단어 " * 13_000}]
        with two_at_once(rig, provider, messages=long) as (first, second):
            provider.count = plain(200, b'{"input_tokens":30000}')
            assert not second.done()
            _free_some(rig, "other")  # wakes who waits
            if pause_s:
                sleep(0.5)
                assert (provider.counts, len(provider.sent)) == (1, 1)
            else:
                provider.has_been_sent(2)
                assert not first.done()
        assert second.result().status_code == 200


def _free_some(rig: Rig, name: str) -> None:
    fence = rig.do(rig._hold(name))
    rig.do(rig.house.stores.ledger.release(name, fence))


@pytest.mark.parametrize(
    ("status", "told"),
    [(429, (529, "overloaded_error")), (503, (529, "overloaded_error")),
     (529, (529, "overloaded_error")), (404, (400, "invalid_request_error"))],
)  # fmt: skip
def test_who_must_be_counted_and_cannot_be_now_is_told_to_try_again(
    tmp_path: Path, status: int, told: tuple[int, str]
) -> None:
    with scene(tmp_path, Forever()) as (rig, provider):
        provider.count = plain(status, b"{}", b"retry-after: 3")
        answer = ask(rig.url, messages=[{"role": "user", "content": [PDF]}])
        assert error_of(answer) == told
        assert answer.headers["x-should-retry"] == ("true" if told[0] == 529 else "false")
        assert answer.headers.get("retry-after") == ("3" if told[0] == 529 else None)
        assert provider.sent == []


def test_that_it_never_fits_is_not_said_without_a_count(tmp_path: Path) -> None:
    with scene(tmp_path, Forever()) as (rig, provider):
        provider.count = plain(529, b"{}")
        assert error_of(ask(rig.url, **LONG)) == (529, "overloaded_error")
        provider.count = plain(404, b"{}")
        assert error_of(ask(rig.url, **LONG)) == (402, "billing_error")


def test_a_key_that_was_revoked_while_its_request_was_held_lets_it_not_in(tmp_path: Path) -> None:
    with scene(tmp_path, Forever()) as (rig, provider):
        access = Access(rig.house.stores.keys, rig.house.clock)
        secret, _ = rig.do(access.issue("지훈", "keys/held"))
        rule = LimitRule("keys/held", "ceiling", Unit.MICROUSD, 800, Forever())
        rig.do(rig._limit(rule, 0))
        sleep(1.1)
        with two_at_once(rig, provider, headers={"x-api-key": secret}) as (first, second):
            rig.do(access.revoke("지훈"))
            sleep(1.1)
            assert not second.done()
        assert first.result().status_code == 200
        assert error_of(second.result()) == (403, "permission_error")
        assert len(provider.sent) == 1
