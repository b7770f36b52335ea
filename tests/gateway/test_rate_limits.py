"""A 429 of the provider holds what it is about, and nothing else."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.gateway.clients.rig import Rig, gateway
from tests.gateway.recorder import Recorder, plain, recorder
from tests.gateway.test_budget import HELLO, ask, error_of

LIMITED, OTHER = "claude-opus-5-5", "claude-haiku-5-5"
COUNT, MODELS, BATCHES = "/v1/messages/count_tokens", "/v1/models", "/v1/messages/batches"


@contextmanager
def limited(home: Path, what: str) -> Iterator[tuple[Rig, Recorder]]:
    """A provider that answers 429 to requests with that in their first line or their body."""
    with recorder(plain()) as upstream:

        def give(connection: socket.socket, body: bytes) -> None:
            line = upstream.heads[-1].partition(b"\r\n")[0]
            refused = plain(429, b'{"type":"error"}', b"retry-after: 50")
            (refused if what.encode() in line + body else plain())(connection, body)

        upstream.answer = give
        with gateway(home, HELLO, simulator_url=upstream.url) as rig:
            yield rig, upstream


def status(rig: Rig, path: str) -> int:
    with httpx2.Client(base_url=rig.url, trust_env=False, timeout=20) as client:
        told = client.post(path, content=b"{}") if path == COUNT else client.get(path)
    return told.status_code


def test_of_a_model_that_model_alone(tmp_path: Path) -> None:
    with limited(tmp_path / "집", LIMITED) as (rig, upstream):
        assert ask(rig.url, model=LIMITED).headers["retry-after"] == "50"
        passed = len(upstream.heads)
        told = ask(rig.url, model=LIMITED)  # which would have to wait longer than anybody may
        assert error_of(told) == (429, "rate_limit_error")
        assert 30 < int(told.headers["retry-after"]) <= 50
        assert told.headers["x-should-retry"] == "true"
        assert LIMITED in told.json()["error"]["message"]
        assert len(upstream.heads) == passed
        assert ask(rig.url, model=OTHER).status_code == 200
        assert status(rig, COUNT) == 200
        assert not rig._rows("SELECT 1 FROM ledger_entries WHERE state IN ('held', 'sent')")


@pytest.mark.parametrize("path", [COUNT, f"{MODELS}/a", f"{BATCHES}/b/results"])
def test_of_what_costs_nothing_its_kind_alone(tmp_path: Path, path: str) -> None:
    with limited(tmp_path / "집", path) as (rig, upstream):
        assert status(rig, path) == 429
        passed = len(upstream.heads)
        kinds = {COUNT: COUNT, MODELS: MODELS, BATCHES: f"{BATCHES}/c"}
        free = {kind: status(rig, asked) for kind, asked in kinds.items()}
        assert free == {kind: 429 if path.startswith(kind) else 200 for kind in kinds}
        assert len(upstream.heads) == passed + 2
        assert ask(rig.url).status_code == 200
