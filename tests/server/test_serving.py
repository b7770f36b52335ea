"""`helios serve` as a process: where it listens, and how it ends."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from helios.domain.budget.ledger import EntryState, Request
from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever
from helios.domain.pricing import Tier
from helios.server.serving import SWEEP_S, is_loopback, sweep_regularly
from helios.stores.open import open_stores
from helios.testing.clock import MovableClock
from tests.e2e.helios_process import Helios
from tests.server.faces import BUDGET

pytestmark = pytest.mark.slow


@pytest.fixture
def helios(tmp_path: Path) -> Helios:
    return Helios(tmp_path / "집", more={"HELIOS_PROVIDER": "simulator"})


@contextmanager
def started(helios: Helios, *words: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    process = helios.start("serve", "--port", "0", *words)
    try:
        line = process.stdout.readline()
        yield process, (json.loads(line)["url"] if "--json" in words else line.strip())
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def get(url: str) -> httpx2.Response:
    return httpx2.get(url, trust_env=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_its_address_and_ends_cleanly(helios: Helios, number: signal.Signals) -> None:
    with started(helios) as (process, url):
        assert get(f"{url}/api/health").json()["status"] == "ok"
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (0, "")
        assert "Traceback" not in err


def test_a_request_that_waits_does_not_hold_up_the_end(helios: Helios) -> None:
    with started(helios, "--json") as (process, url):
        hold = {"estimated_messages": 900}
        assert httpx2.post(f"{url}{BUDGET}/request", json=hold).json()["allocated"] is True
        answers: list[object] = []

        def wait() -> None:
            try:
                waiting = {"estimated_messages": 1, "wait_s": 60, "priority": 10}
                answers.append(httpx2.post(f"{url}{BUDGET}/request", json=waiting, timeout=60))
            except httpx2.HTTPError as error:
                answers.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(1)
        assert not answers
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        thread.join(30)
        assert process.returncode == 0
        assert len(answers) == 1


def test_an_allocation_survives_a_kill(helios: Helios) -> None:
    with started(helios) as (process, url):
        httpx2.post(f"{url}{BUDGET}/request", json={"request_id": "a", "estimated_messages": 7})
        process.kill()
        process.communicate()
    with started(helios) as (_, url):
        assert get(f"{url}{BUDGET}/status").json()["budget"]["messages_remaining"] == 893
        again = {"request_id": "a", "estimated_messages": 7}
        assert httpx2.post(f"{url}{BUDGET}/request", json=again).json()["allocated"] is True
        assert get(f"{url}{BUDGET}/status").json()["budget"]["messages_remaining"] == 893


def test_an_address_that_others_reach_needs_to_be_meant(helios: Helios) -> None:
    for host in ("0.0.0.0", "::"):
        result = helios.run("serve", "--host", host, "--port", "0")
        assert result.code == 2
        assert "--insecure-no-auth" in result.err
        assert result.out == ""
    with started(helios, "--host", "0.0.0.0", "--insecure-no-auth") as (_, url):
        port = url.rpartition(":")[2]
        answer = httpx2.get(
            f"http://127.0.0.1:{port}/api/health", headers={"Host": "helios.example"}
        )
        assert answer.status_code == 200


def test_a_port_that_is_taken_or_none_is_said_so(helios: Helios) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        result = helios.run("serve", "--port", str(other.getsockname()[1]))
    assert result.code == 7
    assert "--port 0" in result.err
    for words in (
        ("--port", "70000"),
        ("--host", "no.such.host.invalid"),
        ("--host", "없" * 80, "--insecure-no-auth"),
    ):
        result = helios.run("serve", *words)
        assert result.code == 2
        assert "cannot listen" in result.err


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True),
        ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("localhost.example", False),
    ],
)  # fmt: skip
def test_what_only_this_machine_reaches(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_the_command_line_loads_no_server_unless_asked(helios: Helios) -> None:
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "helios", "budget", "--json"],
        env=helios.environment, capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    assert "fastapi" not in loaded


def test_what_callers_left_behind_is_closed_after_its_lease(sqlite_store_url: str) -> None:
    async def go() -> None:
        clock = MovableClock()
        stores = open_stores(sqlite_store_url, clock)
        sweeping = asyncio.create_task(sweep_regularly(stores.ledger, clock))
        try:
            left = Request("남음", Tier.STANDARD, {Unit.MESSAGES: 1}, lease_s=60.0)
            limit = Limit("l", Unit.MESSAGES, 5, Forever(), "w", "l")
            await stores.ledger.reserve(left, [limit])
            clock.move(60)
            for _ in range(500):
                clock.move(SWEEP_S)
                entry = await stores.ledger.entry("남음")
                if entry and entry.state.final:
                    break
                await asyncio.sleep(0.01)
            assert entry is not None
            assert entry.state is EntryState.RELEASED
        finally:
            sweeping.cancel()
            await stores.close()

    asyncio.run(go())
