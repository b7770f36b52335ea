"""`helios simulate-provider` and the part of `helios.testing` that starts it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

from helios.errors import UsageError
from helios.testing.simulator import simulated_provider

pytestmark = pytest.mark.slow


def client_of(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="k", base_url=url, max_retries=0)


def ask(client: anthropic.Anthropic, text: str) -> Any:
    return client.messages.create(
        model="claude-haiku-5-5", max_tokens=100, messages=[{"role": "user", "content": text}]
    )


def test_a_test_of_a_user_starts_it_and_reads_its_meter(script_file: Any, tmp_path: Path) -> None:
    flags = ["--script", str(script_file()), "--answer", "echo", "--window", "five_hour=3messages"]
    meter = tmp_path / "미터.jsonl"
    more = ["--time-scale", "0", "--fault-header", "--meter", str(meter)]
    with simulated_provider(*flags, *more) as provider, client_of(provider.url) as client:
        assert ask(client, "인사").content[0].text == "[simulated] 안녕하세요, 반갑습니다."
        assert ask(client, "뭐라도").content[0].text == "simulated: 뭐라도"
        with pytest.raises(anthropic.InternalServerError):
            client.with_options(default_headers={"x-helios-fault": "529"}).messages.create(
                model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]
            )
        ask(client, "셋")
        with pytest.raises(anthropic.RateLimitError, match="five_hour"):
            ask(client, "넷")
        reading = provider.meter()
        assert (reading["simulated"], reading["answers"]) == (True, 3)
        assert len(meter.read_bytes().splitlines()) == 3
    with pytest.raises(httpx2.TransportError):
        httpx2.get(provider.url)


@pytest.mark.parametrize(
    ("flags", "says", "cure"),
    [
        (("--answer", "sing"), "sing", "echo"),
        (("--length", "wide"), "wide", "medium"),
        (("--window", "five_hour"), "five_hour", "900messages"),
        (("--time-scale", "-1"), "negative", "0"),
    ],
)
def test_flags_that_are_wrong_are_an_error_with_a_cure(
    flags: tuple[str, ...], says: str, cure: str
) -> None:
    with pytest.raises(UsageError, match=says) as caught, simulated_provider(*flags):
        pass
    assert cure in caught.value.next_step


def test_people_are_told_loudly_that_nothing_is_real() -> None:
    command = [sys.executable, "-m", "helios", "simulate-provider"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    assert "SIMULATED" in process.stderr.readline()
    process.terminate()
    _, rest = process.communicate(timeout=10)
    assert "ended" in rest
    assert process.returncode == 0
