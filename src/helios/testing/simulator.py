"""A simulated provider for tests, in a process of its own: any client can be pointed at it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.request import ProxyHandler, build_opener

from helios.errors import UsageError

_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class SimulatedProvider:
    """A running `helios simulate-provider`; `url` is what clients take as their base URL."""

    url: str

    def meter(self) -> dict[str, Any]:
        """What it billed so far: `answers`, `models` with their tokens, `requests` one by one."""
        # Never by a proxy: it is on this machine.
        opener = build_opener(ProxyHandler({}))
        with opener.open(f"{self.url}/_meter", timeout=_PATIENCE_S) as answer:
            reading: dict[str, Any] = json.load(answer)
        return reading


@contextmanager
def simulated_provider(*flags: str) -> Iterator[SimulatedProvider]:
    """Start a simulator on a free port, and end it with the block.

    Args:
        flags: as on the command line, for example `"--answer", "echo", "--time-scale", "0"`.

    Raises:
        UsageError: it does not start with these flags.
    """
    command = [sys.executable, "-m", "helios", "simulate-provider", "--json", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    try:
        yield SimulatedProvider(_url(process))
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _url(process: "subprocess.Popen[str]") -> str:
    said = process.stdout.readline() if process.stdout else ""
    try:
        return str(json.loads(said)["url"])
    except (ValueError, KeyError):
        rest = process.stdout.read() if process.stdout else ""
    try:
        error = json.loads(said + rest)
    except ValueError:
        error = {"message": "the simulator did not start; its output on stderr says why"}
    raise UsageError(error["message"], next_step=error.get("next_step", ""))
