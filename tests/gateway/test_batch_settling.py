"""Settling batches: fees in full, and one that cannot be settled keeps no other waiting."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from helios.domain.budget.units import Unit
from helios.domain.budget.window import OpensOnUse
from helios.errors import BadOutput
from helios.services.responses import batch_results
from helios.services.responses.batch_results import read_results
from helios.services.responses.batch_settling import FIRST_PAUSE_S, KEPT_S, LEASE_S
from helios.services.responses.batches import PATH
from tests.gateway.batch_scene import HALF, PRICES, SEARCH, Scene, line, run, wish

FIRST, SECOND = "msgbatch_1", "msgbatch_2"
RESULTS = f"GET {PATH}/{FIRST}/results"
FEES = {"server_tool_use": {"web_search_requests": 50}}
TURN = {"type": "message", "model": "claude-opus-5-5", "input_tokens": 2000, "output_tokens": 2000}
UNREADABLE = {
    "no JSON": b"<html>",
    "no object": b"[]",
    "null": b"null",
    "no result": b"{}",
    "a number": b'{"result": 5}',
    "an odd type": b'{"result": {"type": ["errored"]}}',
    "a new type": b'{"result": {"type": "paused"}}',
    "no message": b'{"result": {"type": "succeeded", "message": []}}',
    "no usage": b'{"result": {"type": "succeeded", "message": {"model": "claude-haiku-5-5"}}}',
    "too many": line(input_tokens=10**12),
    "nested": b'{"result":' + b"[" * 50_000,
    "no text": b"\xff\xfe",
    "no price": line("claude-unheard-of"),
    "no model": line(""),
    "an odd model": line("\ud800\x00"),
    "a speed": line(speed="fast"),
}


def test_searches_are_booked_in_full_and_tokens_by_half(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        asked = wish(tools=[SEARCH])
        await scene.create("one", asked, asked)
        scene.ended(FIRST, line(**FEES) + line())
        assert await scene.desk.batches.settle_ended() == 1
        paid = 500_000 + 2 * HALF
        assert await scene.books("one") == ("settled", paid, 2)
        assert await scene.reported() == (paid, 2)
        assert await scene.held("one") >= paid
        assert await scene.open() == []

    run(tmp_path, part)


def test_only_what_succeeded_is_billed(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        await scene.create("one", *[wish()] * 4)
        kinds = ("errored", "canceled", "expired")
        free = b"".join(b'{"result": {"type": "%s"}}\n' % kind.encode() for kind in kinds)
        scene.ended(FIRST, free + b"\n" + line())
        await scene.desk.batches.settle_ended()
        assert await scene.books("one") == ("settled", HALF, 1)
        assert await scene.reported() == (HALF, 1)

    run(tmp_path, part)


@pytest.mark.parametrize(
    ("told", "paid"),
    [
        (line("small-20261001"), 1000),
        (line(inference_geo="us"), 330),
        (line(iterations=[TURN]), 24_000),
        (line(cache_creation_input_tokens=10_000), HALF + 1000),
        (
            line(
                cache_creation_input_tokens=10_000,
                cache_creation={"ephemeral_5m_input_tokens": 10_000},
            ),
            HALF + 625,
        ),
    ],
    ids=["a date", "a place", "turns", "an hour", "five minutes"],
)
def test_the_price_of_a_result(tmp_path: Path, told: bytes, paid: int) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text(PRICES, "utf-8")

    async def part(scene: Scene) -> None:
        await scene.create("one", wish(max_tokens=100_000))
        scene.ended(FIRST, told)
        await scene.desk.batches.settle_ended()
        assert await scene.books("one") == ("settled", paid, 1)
        assert await scene.reported() == (paid, 1)

    run(tmp_path, part, prices=str(prices))


@pytest.mark.parametrize("bad", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_results_keep_no_other_waiting(tmp_path: Path, bad: bytes) -> None:
    async def part(scene: Scene) -> None:
        settle = scene.desk.batches.settle_ended
        await scene.create("one")
        await scene.create("two")
        scene.ended(FIRST, line() + bad)
        scene.ended(SECOND, line())
        assert await settle() == 1
        assert await scene.books("two") == ("settled", HALF, 1)
        assert await settle(FIRST) == 0  # as before a DELETE
        assert (await scene.books("one"))[0] == "sent"
        assert len(scene.logged("batch not settled yet")) == 1
        scene.clock.move(LEASE_S + 1)
        assert await settle() == 0
        held = await scene.held("one")
        assert await scene.books("one") == ("charged-estimate", held, 1)
        assert await scene.reported() == (held + HALF, 2)
        assert await scene.open() == []

    run(tmp_path, part)


def test_what_cannot_be_settled_is_tried_again_ever_more_seldom(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        settle = scene.desk.batches.settle_ended
        await scene.create("one")
        scene.ended(FIRST, b"?")
        for rounds, asked in ((4, 1), (4, 2), (4, 2), (4, 3)):
            for _ in range(rounds):
                await settle()
                scene.clock.move(FIRST_PAUSE_S / 4)
            assert scene.asked(RESULTS) == asked
        assert len(scene.logged("batch not settled yet")) == 1
        scene.ended(FIRST, line())
        assert await settle(FIRST) == 1
        assert await scene.books("one") == ("settled", HALF, 1)

    run(tmp_path, part)


def test_an_entry_whose_lease_and_window_are_over_is_reported_and_closed(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        await scene.create("one")
        scene.clock.move(LEASE_S + 1)
        await scene.house.stores.ledger.sweep()
        await scene.create("two")
        scene.ended(FIRST, line())
        scene.ended(SECOND, line())
        assert await scene.desk.batches.settle_ended() == 2
        assert await scene.books("one") == ("charged-estimate", await scene.held("one"), 1)
        assert await scene.books("two") == ("settled", HALF, 1)
        assert await scene.reported() == (2 * HALF, 2)
        assert await scene.open() == []
        assert len(scene.logged("batch settled too late")) == 1
        assert await scene.desk.batches.settle_ended(FIRST) == 0

    run(tmp_path, part, window=OpensOnUse(5 * 3600.0))


def test_a_batch_that_is_gone_is_charged_its_estimate_at_once(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        await scene.create("one", wish(), wish())
        await scene.create("two")
        scene.ended(SECOND, line())
        scene.governor.ceilings.rules = ()  # as after a new start
        scene.clock.move(60)
        assert await scene.desk.batches.settle_ended() == 1
        held = await scene.held("one")
        assert await scene.books("one") == ("charged-estimate", held, 2)
        assert await scene.reported() == (held + HALF, 3)
        assert await scene.open() == []

    run(tmp_path, part)


@pytest.mark.parametrize("status", [0, 401, 403, 404, 500])
def test_results_that_cannot_be_had_are_waited_for(tmp_path: Path, status: int) -> None:
    async def part(scene: Scene) -> None:
        settle = scene.desk.batches.settle_ended
        await scene.create("one")
        await scene.create("two")
        scene.ended(FIRST, b"", status)
        scene.ended(SECOND, line())
        assert await settle() == 1
        scene.clock.move(LEASE_S + 1)  # as if nobody had come by for long
        assert await settle() == 0
        assert await scene.open() == [FIRST]
        scene.clock.move(KEPT_S)
        await settle()
        assert await scene.open() == []
        held = await scene.held("one")
        assert await scene.reported() == (held + HALF, 2)

    run(tmp_path, part)


@pytest.mark.parametrize("status", [0, 401, 500])
def test_a_state_that_cannot_be_had_is_logged_once(tmp_path: Path, status: int) -> None:
    async def part(scene: Scene) -> None:
        await scene.create("one")
        scene.answers[f"GET {PATH}/{FIRST}"] = (status, b"{}")
        for _ in range(4):
            assert await scene.desk.batches.settle_ended() == 0
            scene.clock.move(FIRST_PAUSE_S * 4)
        assert len(scene.logged("batch not settled yet")) == 1
        assert await scene.open() == [FIRST]

    run(tmp_path, part)


def test_a_batch_that_is_settled_already_is_not_reported_twice(tmp_path: Path) -> None:
    """A crash between its books and its name: its results are gone when it is looked at again."""

    async def part(scene: Scene) -> None:
        await scene.create("one")
        fence = (await scene.entry("one")).fence
        actual = {Unit.MICROUSD: HALF, Unit.MESSAGES: 1}
        await scene.house.stores.ledger.settle("one", fence, actual)
        await scene.desk.batches.settle_ended()
        assert await scene.books("one") == ("settled", HALF, 1)
        assert await scene.reported() == (0, 0)
        assert await scene.open() == []

    run(tmp_path, part)


async def _read(*chunks: bytes) -> list[int]:
    async def come() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [counted.usage.input_tokens async for _, counted in read_results(come())]


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_lines_are_read_however_they_come(size: int) -> None:
    body = b"\r\n" + line(input_tokens=1) + b"\n" + line(input_tokens=2) + line(input_tokens=3)[:-1]
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert asyncio.run(_read(*pieces)) == [1, 2, 3]
    assert asyncio.run(_read()) == []


def test_a_line_is_bounded_and_the_body_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    one = line()
    monkeypatch.setattr(batch_results, "MOST_LINE_BYTES", len(one))
    assert len(asyncio.run(_read(*[one] * 100))) == 100
    with pytest.raises(BadOutput, match="larger"):
        asyncio.run(_read(*[b"x" * 100] * 100))
