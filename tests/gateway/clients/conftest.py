"""Clients under test; those that cannot be installed here are skipped, and the skip is counted."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.clients.clients import CLIENTS
from tests.gateway.clients.in_worker import InWorker, end_worker
from tests.gateway.clients.protocol import Client
from tests.gateway.clients.rig import Rig, entry, gateway
from tests.installed import CLAUDE_CODE, PYTHON_CLIENTS, NotInstalledError, Part

LONG = "하나 둘 셋 넷 다섯 " * 40
SCRIPT = (
    entry("폭풍", "이제 됐습니다", fault=["529", "529"]),
    entry("끊김", LONG, fault=["cut"]),
    entry("멈춤", LONG, fault="stall"),
    entry("", "안녕하세요, 반갑습니다"),
)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A gateway in front of a simulator, with empty books."""
    with gateway(tmp_path / "집", SCRIPT) as rig:
        yield rig


def needed(part: Part) -> None:
    """Skip the test where this cannot be had."""
    try:
        part.path()
    except (NotInstalledError, OSError, subprocess.SubprocessError) as error:
        pytest.skip(str(error))


@pytest.fixture(params=CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    """Every client in turn."""
    client: Client = request.param
    if client.name.startswith("claude-code"):
        needed(CLAUDE_CODE)
    elif isinstance(client, InWorker):
        needed(PYTHON_CLIENTS)
    return client


@pytest.fixture(scope="session", autouse=True)
def _workers_end() -> Iterator[None]:
    yield
    end_worker()
