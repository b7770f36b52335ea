"""Sending a batch: what it is held at, and that the books are closed whatever becomes of it."""

import asyncio
import json
from pathlib import Path

import pytest

from helios.domain.budget.ledger import EntryState
from helios.domain.budget.units import Unit
from helios.domain.gateway.bound import SEARCH_FEE_MICROUSD, raw_bound
from helios.domain.gateway.key import GatewayKey
from helios.domain.gateway.refusal import Refusal
from helios.domain.gateway.request import read_request
from helios.errors import ModelError
from helios.ports.upstream import UpstreamRequest
from helios.services.responses.batches import PATH, Answered
from tests.gateway.batch_scene import MODEL, PRICES, SEARCH, Scene, run, wish
from tests.providers.raw_server import until

POST = f"POST {PATH}"
UNKNOWN = [(504, b"late"), (500, b"{}"), (202, b"{}"), (200, b"{}"), (200, b"[" * 9_999)]
LARGER = ((b"anthropic-beta", b"context-1m-2025-08-07"),)


def test_searches_are_held_in_full(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        asked = wish(tools=[SEARCH])
        await scene.create("one", asked, asked)
        body = json.dumps(asked["params"], ensure_ascii=False).encode()
        model = scene.house.catalogue.model(MODEL)
        tokens = raw_bound(read_request(body), len(body), model, larger_window=False)
        half = -(-tokens[Unit.MICROUSD] // 2)
        assert await scene.held("one") == 2 * (half + 50 * SEARCH_FEE_MICROUSD)

    run(tmp_path, part)


def test_a_larger_window_is_held_only_where_it_is_asked_for(tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text(PRICES, "utf-8")

    async def part(scene: Scene) -> None:
        asked = wish(model="small", tools=[{**SEARCH, "max_uses": 1}])
        await scene.create("own", asked)
        await scene.create(
            "larger", asked, headers=((b"anthropic-beta", b"context-1m-2025-08-07"),)
        )
        assert await scene.held("larger") - await scene.held("own") >= 800_000 // 2

    run(tmp_path, part, prices=str(prices))


@pytest.mark.parametrize(("status", "body"), UNKNOWN)
def test_an_answer_that_proves_nothing_is_charged_at_once(
    tmp_path: Path, status: int, body: bytes
) -> None:
    async def part(scene: Scene) -> None:
        scene.answers[POST] = (status, body)
        told = await scene.create("one", wish(), wish())
        assert isinstance(told, Answered)
        assert (told.status, told.body) == (status, body)
        held = await scene.held("one")
        assert held > 0
        assert await scene.books("one") == ("charged-estimate", held, 2)
        assert await scene.reported() == (held, 2)
        assert await scene.open() == []
        assert len(scene.logged("batch charged its estimate")) == 1

    run(tmp_path, part)


@pytest.mark.parametrize("status", [400, 429, 529])
def test_a_refusal_of_the_provider_costs_nothing(tmp_path: Path, status: int) -> None:
    async def part(scene: Scene) -> None:
        scene.answers[POST] = (status, b'{"id": "msgbatch_1"}')
        await scene.create("one")
        assert await scene.books("one") == ("released", 0, 0)
        assert await scene.reported() == (0, 0)

    run(tmp_path, part)


def test_a_connection_that_breaks_is_charged_at_once(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        scene.answers[POST] = (0, b"")
        with pytest.raises(ModelError):
            await scene.create("one")
        held = await scene.held("one")
        assert await scene.books("one") == ("charged-estimate", held, 1)
        assert await scene.reported() == (held, 1)

    run(tmp_path, part)


def test_a_server_that_ends_meanwhile_closes_the_books(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        scene.go.clear()
        creating = asyncio.create_task(scene.create("one"))
        await until(lambda: scene.asked(POST) == 1)
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
        assert creating.cancelled()
        held = await scene.held("one")
        assert await scene.books("one") == ("charged-estimate", held, 1)
        assert await scene.reported() == (held, 1)
        assert scene.desk.upstream.state.in_flight == 0

    run(tmp_path, part)


def test_a_server_that_ends_before_its_turn_has_sent_nothing(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        scene.answers[POST] = (529, b"{}")
        await scene.create("busy")  # nothing goes for a while after it
        creating = asyncio.create_task(scene.create("one"))
        await until(lambda: scene.desk.upstream.state.waiting == 1)
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
        assert await scene.books("one") == ("released", 0, 0)
        assert scene.asked(POST) == 1

    run(tmp_path, part)


@pytest.mark.parametrize("status", [200, 202])
def test_a_cancellation_while_it_is_noted_loses_nothing(tmp_path: Path, status: int) -> None:
    """At every moment from the answer on: it is noted, or its estimate is charged and reported."""

    async def part(scene: Scene) -> None:
        charged = 0
        for turns in range(30):
            scene.go.clear()
            name = f"msgbatch_{turns}"
            scene.answers[POST] = (status, b'{"id": "%s"}' % name.encode())
            creating = asyncio.create_task(scene.create(name))
            await until(lambda number=turns + 1: scene.asked(POST) == number)
            scene.go.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            creating.cancel()
            await asyncio.gather(creating, return_exceptions=True)
            await scene.afterwards.wait(10)
            if name in await scene.open():
                assert (await scene.entry(name)).state is EntryState.SENT
            else:
                charged += await scene.held(name)
                assert (await scene.entry(name)).state is EntryState.CHARGED_ESTIMATE
            assert (await scene.reported())[0] == charged

    run(tmp_path, part)


def test_a_second_cancellation_changes_nothing(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        scene.go.clear()
        creating = asyncio.create_task(scene.create("one"))
        await until(lambda: scene.asked(POST) == 1)
        creating.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
        await scene.afterwards.wait(10)
        held = await scene.held("one")
        assert await scene.books("one") == ("charged-estimate", held, 1)
        assert await scene.reported() == (held, 1)

    run(tmp_path, part)


def test_a_model_to_fall_back_on_must_be_allowed_too(tmp_path: Path) -> None:
    key = GatewayKey("하나", "가게", models=("claude-haiku-*",))

    async def part(scene: Scene) -> None:
        fallbacks = [{"model": "claude-opus-5-5"}]
        told = await scene.create("one", wish(fallbacks=fallbacks), key=key)
        assert isinstance(told, Refusal)
        assert told.status == 403
        assert isinstance(await scene.create("two", key=key), Answered)

    run(tmp_path, part)


def test_a_rate_limit_of_batches_holds_batches_alone(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        scene.answers[POST] = (429, b"{}")
        await scene.create("one")
        creating = asyncio.create_task(scene.create("two"))
        await until(lambda: scene.desk.upstream.state.waiting == 1)
        reply = await scene.desk.upstream.send(UpstreamRequest("GET", "/v1/models", ()))
        await reply.close()
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
        assert await scene.books("two") == ("released", 0, 0)

    run(tmp_path, part)
