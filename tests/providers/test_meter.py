"""The meter: what was answered is what is billed, whatever ends the process."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from helios.domain.usage import Usage
from helios.errors import Overloaded, UsageError
from helios.ports.models import Tool
from helios.providers.anthropic_api import AnthropicProvider
from helios.providers.simulator.meter import Billed, Meter


def billed(number: int) -> Billed:
    return Billed(
        request=f"req_sim_{number}",
        message=f"msg_sim_{number}",
        model="claude-haiku-5-5",
        usage=Usage(10, 20),
        at=1_800_000_000.0,
        labels={"project": "결제"},
    )


def requests(meter: Meter) -> list[str]:
    return [answer.request for answer in meter.reading().answers]


def test_the_meter_equals_what_was_answered(
    simulate: Any, ask: Any, tmp_path: Path, patch_tool: Tool
) -> None:
    async def scenario() -> None:
        path = tmp_path / "meter.jsonl"
        async with simulate(meter=path) as provider:
            replies = [await provider.call(ask(f"hello {n}")) for n in range(5)]
            opus = ask("Task: fix-gcd", model="claude-opus-5-5", tool=patch_tool)
            replies.append(await provider.call(opus))
            reading = provider.reading()
        assert [answer.usage for answer in reading.answers] == [reply.usage for reply in replies]
        assert sum(reading.by_model.values(), Usage()) == sum((r.usage for r in replies), Usage())
        assert set(reading.by_model) == {"claude-haiku-5-5", "claude-opus-5-5"}
        assert len(path.read_text(encoding="utf-8").splitlines()) == 6
        async with simulate(meter=path) as provider:
            assert provider.reading() == reading, "read back on start"
            await provider.call(ask("hello"))
            ids = [answer.request for answer in provider.reading().answers]
        assert len(set(ids)) == 7

    asyncio.run(scenario())


@pytest.mark.parametrize("stream", [True, False])
def test_a_line_is_in_the_file_before_the_last_bytes_are_sent(
    simulate: Any, tmp_path: Path, stream: bool
) -> None:
    async def scenario() -> None:
        path = tmp_path / "meter.jsonl"
        asked = {
            "model": "m",
            "max_tokens": 99,
            "stream": stream,
            "messages": [{"role": "user", "content": "hello"}],
        }
        async with (
            simulate(meter=path, time_scale=0.1) as provider,
            httpx2.AsyncClient(base_url=provider.base_url, trust_env=False) as client,
            client.stream("POST", "/v1/messages", json=asked) as answer,
        ):
            assert answer.status_code == 200
            async for chunk in answer.aiter_bytes():
                if b"message_stop" in chunk or not stream:
                    assert len(path.read_bytes().splitlines()) == 1

    asyncio.run(scenario())


def test_two_meters_on_one_file_see_each_other(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "meter.jsonl"
    one, two = Meter(path), Meter(path)
    one.record(billed(1))
    two.record(billed(2))
    one.record(billed(3))
    assert requests(one) == requests(two) == ["req_sim_1", "req_sim_2", "req_sim_3"]
    one.close()
    two.close()
    assert len(requests(one)) == 3


@pytest.mark.parametrize("torn", [b'{"request": "req', '{"labels": "결'.encode()[:-1]])
def test_an_unfinished_line_is_passed_over_and_harms_no_other(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "meter.jsonl"
    meter = Meter(path)
    meter.record(billed(1))
    meter.close()
    path.write_bytes(path.read_bytes() + torn)
    meter = Meter(path)
    assert requests(meter) == ["req_sim_1"]
    meter.record(billed(2))
    assert requests(meter) == ["req_sim_1", "req_sim_2"]
    assert meter.reading().unreadable == 1
    meter.close()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file grows beyond this: what a full disk looks like to who writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_bills_nothing_and_answers_nothing(
    simulate: Any, ask: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        path = tmp_path / "meter.jsonl"
        async with simulate(meter=path) as provider:
            await provider.call(ask())
            with files_of_at_most(path.stat().st_size + 20):
                for _ in range(2):
                    with pytest.raises(Overloaded, match="meter cannot be written"):
                        await provider.call(ask())
            await provider.call(ask())
            reading = provider.reading()
        assert (len(reading.answers), reading.unreadable) == (2, 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("place", ["", "file/meter.jsonl", "pipe"])
def test_a_meter_that_cannot_be_a_file_names_the_place(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="meter cannot be opened") as caught:
        Meter(tmp_path / place)
    assert str(tmp_path / place) in caught.value.message
    assert "regular file" in caught.value.next_step


@contextmanager
def program(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "helios", "simulate-provider", *arguments]
    process = subprocess.Popen(
        [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        line = json.loads(process.stdout.readline())
        assert (line["schema"], line["simulated"]) == (1, True)
        yield process, line["url"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.slow
def test_a_killed_process_loses_no_bill(tmp_path: Path, script_file: Any, ask: Any) -> None:
    path = tmp_path / "meter.jsonl"
    arguments = ("--meter", str(path), "--script", str(script_file()), "--time-scale", "0")

    async def calls(url: str, most: int, victim: int | None) -> int:
        """Ask in parallel, kill the server in the middle, count the answers that came."""
        provider = AnthropicProvider("k", url, simulated=True)
        answered = 0

        async def one(number: int) -> None:
            nonlocal answered
            await provider.call(ask(f"hello {number}"))
            answered += 1
            if victim and answered == most // 2:
                os.kill(victim, signal.SIGKILL)

        await asyncio.gather(*(one(n) for n in range(most)), return_exceptions=True)
        await provider.close()
        return answered

    with program(*arguments) as (process, url):
        answered = asyncio.run(calls(url, 60, process.pid))
        assert process.wait(10) == -signal.SIGKILL
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert 30 <= answered <= len(lines) <= 60
    with program(*arguments) as (process, url):
        assert asyncio.run(calls(url, 3, None)) == 3
        with httpx2.Client(trust_env=False) as client:
            assert client.get(f"{url}/_meter").json()["answers"] == len(lines) + 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--script", "none.yaml"], "none.yaml"),
        (["--port", "99999"], "99999"),
        (["--fault", "boom=1"], "usage-above-estimate"),
        (["--fault", "429"], "Write it as"),
        (["--fault", "429=much"], "Write it as"),
    ],
)
def test_the_program_says_what_is_wrong_with_its_arguments(arguments: list[str], says: str) -> None:
    command = [sys.executable, "-m", "helios", "simulate-provider", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
