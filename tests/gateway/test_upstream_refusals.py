"""What the upstream answers besides messages: nobody pays, and nobody gets what is not theirs."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from helios.server.gateway import messages
from tests.domain.gateway.streams import ERROR
from tests.gateway.clients.rig import Books, Rig, gateway
from tests.gateway.recorder import Answer, plain, recorder
from tests.gateway.test_budget import HELLO, ask, error_of
from tests.gateway.test_dear_answers import stream

UNKNOWN_KEY = (
    b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}'
)
ANSWERS: dict[str, Answer] = {
    "ANTHROPIC_API_KEY": plain(401, UNKNOWN_KEY, b"www-authenticate: Basic realm=upstream"),
    "ANTHROPIC_BASE_URL": plain(307, b"", b"location: https://elsewhere.example/v1/messages"),
}
PATHS: dict[str, Callable[[httpx2.Client], httpx2.Response]] = {
    "models": lambda client: client.get("/v1/models"),
    "count": lambda client: client.post("/v1/messages/count_tokens", content=b"{}"),
    "batches": lambda client: client.get("/v1/messages/batches"),
}


def free(rig: Rig) -> list[httpx2.Response]:
    with httpx2.Client(base_url=rig.url, trust_env=False, timeout=30) as client:
        return [get(client) for get in PATHS.values()]


@pytest.mark.parametrize("cure", list(ANSWERS))
def test_an_answer_that_is_meant_for_helios_goes_to_no_client(tmp_path: Path, cure: str) -> None:
    with (
        recorder(ANSWERS[cure]) as upstream,
        gateway(tmp_path / "집", HELLO, simulator_url=upstream.url) as rig,
    ):
        for answer in (ask(rig.url), ask(rig.url, stream=True), *free(rig)):
            assert error_of(answer) == (502, "api_error")
            assert cure in answer.json()["error"]["message"]
            assert answer.headers["x-should-retry"] == "false"
            assert not {"location", "www-authenticate"} & set(answer.headers)
        assert rig.settled() == rig.reported() == Books(0, 0)


def test_who_was_held_is_told_by_an_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "SILENT_S", 0.0)
    with (
        recorder(ANSWERS["ANTHROPIC_API_KEY"]) as upstream,
        gateway(tmp_path / "집", HELLO, simulator_url=upstream.url) as rig,
    ):
        with rig.room_taken():
            rig.loop.call_soon_threadsafe(
                lambda: rig.loop.call_later(0.5, lambda: rig.loop.create_task(_free(rig)))
            )
            answer = ask(rig.url, stream=True)
        *_, last = answer.text.strip().split("\n\n")
        kind, data = last.split("\n")
        assert (answer.status_code, kind) == (200, "event: error")
        assert "ANTHROPIC_API_KEY" in json.loads(data.removeprefix("data: "))["error"]["message"]


async def _free(rig: Rig) -> None:
    entry = await rig.house.stores.ledger.entry("somebody")
    assert entry
    await rig.house.stores.ledger.release("somebody", entry.fence)


def test_an_error_told_as_a_stream_arrives_whole_and_costs_nothing(tmp_path: Path) -> None:
    def count_or_error(connection: socket.socket, body: bytes) -> None:
        stream(ERROR, status=529)(connection, body)

    with (
        recorder(count_or_error) as upstream,
        gateway(tmp_path / "집", HELLO, simulator_url=upstream.url) as rig,
    ):
        answer = ask(rig.url, stream=True)
        assert (answer.status_code, answer.content) == (529, ERROR)
        assert rig.settled() == rig.reported() == Books(0, 0)
