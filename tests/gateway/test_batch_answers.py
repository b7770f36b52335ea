"""What clients are told of batches when something fails: never to make twice what may be there."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from starlette.types import Message, Receive, Scope, Send

from helios.bootstrap.house import House
from helios.server.gateway import visit
from helios.server.gateway.door import Gateway
from helios.services.responses import batch_settling
from helios.services.responses.batches import PATH
from helios.stores.sql.database import Patience
from tests.gateway.batch_scene import HALF, Scene, line, run, wish
from tests.providers.raw_server import until

POST, FIRST = f"POST {PATH}", "msgbatch_1"
DELETE = f"DELETE {PATH}/{FIRST}"


@dataclass(frozen=True)
class Told:
    status: int
    again: str
    body: Any


async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError(scope["path"])


async def ask(door: Gateway, method: str, path: str, body: bytes = b"") -> Told:
    """One request at the door, and its answer."""
    head: Message = {}
    parts: list[bytes] = []
    come = iter([{"type": "http.request", "body": body}])

    async def receive() -> Message:
        return next(come)

    async def send(message: Message) -> None:
        head.update(message if "headers" in message else {})
        parts.append(message.get("body", b""))

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}
    await door(scope, receive, send)
    fields = dict(head["headers"])
    again = fields.get(b"x-should-retry", b"").decode()
    return Told(head["status"], again, json.loads(b"".join(parts) or b"{}"))


def create(door: Gateway) -> "asyncio.Task[Told]":
    body = json.dumps({"requests": [wish()]}).encode()
    return asyncio.create_task(ask(door, "POST", PATH, body))


@asynccontextmanager
async def locked(scene: Scene) -> AsyncIterator[None]:
    """Nothing can be written, and it is found out at once."""
    database = scene.house.stores.keys._database
    database._patience = Patience(writers_s=0.05)
    file = next(scene.home.rglob("*.db"))
    blocker = sqlite3.connect(file, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()


async def state(house: House) -> list[tuple[str, str]]:
    """Each entry of the ledger and the name it was noted by."""
    query = text(
        "SELECT e.state, COALESCE(b.upstream_id, '') FROM ledger_entries e"
        " LEFT JOIN gateway_batches b USING (request_id) ORDER BY e.request_id"
    )
    database = house.stores.keys._database
    return await database.read(lambda c: [tuple(row) for row in c.execute(query)])


def test_a_batch_that_is_made_is_told_and_noted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visit, "NOTING_S", 0.1)

    async def part(scene: Scene) -> None:
        door = Gateway(nowhere, scene.desk)
        scene.go.clear()
        creating = create(door)
        await until(lambda: scene.asked(POST) == 1)
        async with locked(scene):
            scene.go.set()
            told = await asyncio.wait_for(creating, 10)
            assert (told.status, told.again, told.body) == (200, "", {"id": FIRST})
            assert await state(scene.house) == [("sent", "")]
            assert door.owes
        while door.owes:
            scene.clock.move(60)
            await asyncio.sleep(0.01)
        assert await state(scene.house) == [("sent", FIRST)]
        assert (await ask(door, "GET", f"{PATH}/{FIRST}")).status == 404  # the provider's
        await door.close(0.1, books_s=10)
        assert await state(scene.house) == [("sent", FIRST)]

    run(tmp_path, part)


@pytest.mark.parametrize("twice", [False, True])
def test_who_is_told_of_the_end_while_a_batch_is_sent_is_told_to_look(
    tmp_path: Path, twice: bool
) -> None:
    async def part(scene: Scene) -> None:
        door = Gateway(nowhere, scene.desk)
        scene.go.clear()
        creating = create(door)
        await until(lambda: scene.asked(POST) == 1)
        door.stop()
        for _ in range(1 + twice):
            door.cut()
            await asyncio.sleep(0)
        await door.close(10, books_s=10)
        told = await asyncio.wait_for(creating, 10)
        assert (told.status, told.again) == (503, "false")
        assert "may have been made" in told.body["error"]["message"]
        assert await state(scene.house) == [("charged-estimate", "")]

    run(tmp_path, part)


def test_who_is_told_of_the_end_before_a_batch_is_sent_may_ask_again(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        door = Gateway(nowhere, scene.desk)
        scene.answers[POST] = (529, b"{}")
        assert (await create(door)).status == 529  # nothing goes for a while after it
        creating = create(door)
        await until(lambda: scene.desk.upstream.state.waiting == 1)
        await door.close(10, books_s=10)
        told = await asyncio.wait_for(creating, 10)
        assert (told.status, told.again) == (503, "true")
        assert await state(scene.house) == [("released", "")] * 2

    run(tmp_path, part)


def test_the_end_closes_the_books_of_a_batch_whose_own_way_to_them_was_cut(tmp_path: Path) -> None:
    """They could not be reached in time, and can once more before the database is closed."""

    async def part(scene: Scene) -> None:
        door = Gateway(nowhere, scene.desk)
        scene.go.clear()
        creating = create(door)
        await until(lambda: scene.asked(POST) == 1)
        async with locked(scene):
            door.cut()
            assert (await creating).again == "false"
            await until(lambda: bool(scene.logged("batch not in the books yet")))
        assert await state(scene.house) == [("sent", "")]
        await door.close(
            0.05, books_s=10
        )  # no time passes by the clock until it would be tried again
        assert await state(scene.house) == [("charged-estimate", "")]

    run(tmp_path, part)


def test_the_end_while_a_batch_is_noted_does_not_hide_it(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        door = Gateway(nowhere, scene.desk)
        scene.go.clear()
        creating = create(door)
        await until(lambda: scene.asked(POST) == 1)
        async with locked(scene):
            scene.go.set()
            await until(lambda: door.owes)
            door.cut()
            told = await asyncio.wait_for(creating, 10)
            assert (told.status, told.body) == (200, {"id": FIRST})

    run(tmp_path, part)


@pytest.mark.parametrize(
    ("status", "told", "again"),
    [(0, 502, "false"), (504, 504, "false"), (529, 529, ""), (400, 400, ""), (401, 502, "false")],
)
def test_what_may_have_been_made_is_not_to_be_asked_for_again(
    tmp_path: Path, status: int, told: int, again: str
) -> None:
    async def part(scene: Scene) -> None:
        door = Gateway(nowhere, scene.desk)
        scene.answers[POST] = (status, b"{}")
        answer = await create(door)
        assert (answer.status, answer.again) == (told, again)
        await door.close(10, books_s=10)
        (entry,) = await state(scene.house)
        assert entry[0] == ("charged-estimate" if status in (0, 504) else "released")

    run(tmp_path, part)


@pytest.mark.parametrize("status", [529, 0, 404])
def test_results_that_could_not_be_booked_are_not_deleted(tmp_path: Path, status: int) -> None:
    async def part(scene: Scene) -> None:
        door = Gateway(nowhere, scene.desk)
        assert (await create(door)).status == 200
        scene.answers[DELETE] = (200, b'{"type": "message_batch_deleted"}')
        scene.ended(FIRST, b"", status)
        told = await ask(door, "DELETE", f"{PATH}/{FIRST}")
        assert (told.status, told.again) == (503, "true")
        assert scene.asked(DELETE) == 0
        scene.clock.move(60)
        scene.ended(FIRST, line())
        assert (await ask(door, "DELETE", f"{PATH}/{FIRST}")).status == 200
        assert scene.asked(DELETE) == 1
        assert await scene.reported() == (HALF, 1)

    run(tmp_path, part)


def test_what_has_not_ended_the_provider_itself_keeps(tmp_path: Path) -> None:
    async def part(scene: Scene) -> None:
        door = Gateway(nowhere, scene.desk)
        assert (await create(door)).status == 200
        scene.answers[DELETE] = (400, b"{}")
        scene.answers[f"GET {PATH}/{FIRST}"] = (200, b'{"processing_status": "in_progress"}')
        assert (await ask(door, "DELETE", f"{PATH}/{FIRST}")).status == 400
        assert await scene.open() == [FIRST]

    run(tmp_path, part)


def test_a_silent_answer_about_one_batch_keeps_no_other_waiting_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_settling, "SILENCE_S", 0.2)

    async def part(scene: Scene) -> None:
        await scene.create("one")
        await scene.create("two")
        scene.silent = f"GET {PATH}/{FIRST}"
        scene.ended("msgbatch_2", line())
        assert await asyncio.wait_for(scene.desk.batches.settle_ended(), 20) == 1
        assert await scene.open() == [FIRST]
        (told,) = scene.logged("batch not settled yet")
        assert json.loads(told)["batch"] == FIRST

    run(tmp_path, part)
