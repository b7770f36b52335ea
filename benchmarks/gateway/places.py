"""The processes: who listens where, and what each of them costs."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from bodies import script_text
from load import Plan, Told

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("ANTHROPIC_")},
    "PYTHONPATH": str(ROOT / "src"),
}
PLENTY = "1000000"


@dataclass(frozen=True, slots=True)
class Place:
    """Something that listens, and the key it asks for."""

    name: str
    port: int
    key: str
    process: psutil.Process
    home: Path | None = None

    def cpu_s(self) -> float:
        """Processor time it has taken so far, its children's too."""
        family = [self.process, *self.process.children(recursive=True)]
        times = [process.cpu_times() for process in family]
        return sum(one.user + one.system for one in times)

    def rss_mb(self) -> float:
        return float(self.process.memory_info().rss) / 1e6


@contextlib.contextmanager
def simulator(*, latency: str, deltas: int) -> Iterator[Place]:
    """The one upstream of all others."""
    with tempfile.TemporaryDirectory(prefix="helios-bench-") as folder:
        script = Path(folder) / "script.yaml"
        script.write_text(script_text(deltas), encoding="utf-8")
        words = ["-m", "helios", "simulate-provider", "--script", str(script), "--latency", latency]
        with started(words) as (process, port):
            yield Place("simulator", port, "direct", process)


@contextlib.contextmanager
def floor(upstream: Place) -> Iterator[Place]:
    """The bare pass-through."""
    words = [str(HERE / "floor.py"), f"http://127.0.0.1:{upstream.port}"]
    with started(words) as (process, port):
        yield Place("floor", port, "floor", process)


@contextlib.contextmanager
def helios(upstream: Place) -> Iterator[Place]:
    """`helios serve` with a plan, and a key with a ceiling of its own; neither is in the way."""
    with tempfile.TemporaryDirectory(prefix="helios-bench-") as folder:
        environment = {
            **ENVIRONMENT,
            "HELIOS_HOME": folder,
            "HELIOS_CONFIG": f"{folder}/none.toml",
            "HELIOS_PLAN_MESSAGES": PLENTY,
            "HELIOS_PROVIDER": "simulator",
            "HELIOS_SIMULATOR_URL": f"http://127.0.0.1:{upstream.port}",
            "HELIOS_LOG_LEVEL": "warning",
        }
        made = command(["keys", "create", "bench", "--budget", f"{PLENTY}usd/day"], environment)
        with started(["-m", "helios", "serve", "--port", "0"], environment) as (process, port):
            yield Place("helios", port, made.strip(), process, Path(folder))


def command(words: list[str], environment: dict[str, str]) -> str:
    """What a command of Helios writes."""
    done = subprocess.run(
        [sys.executable, "-m", "helios", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"helios {' '.join(words)} failed:\n{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def started(
    words: list[str], environment: dict[str, str] | None = None
) -> Iterator[tuple[psutil.Process, int]]:
    """A program of ours run until the block ends; its first line is its URL."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, *words],
            env=environment or ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout
            line = process.stdout.readline()
            if not (found := re.search(r"http://[^\s:]+:(\d+)", line)):
                log.seek(0)
                sys.exit(f"{' '.join(words)} did not start: {line}{log.read()[-2000:]}")
            yield psutil.Process(process.pid), int(found[1])
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def load(plan: Plan) -> Told:
    """Send the load, from a process of its own."""
    done = subprocess.run(
        [sys.executable, str(HERE / "load.py")],
        env=ENVIRONMENT,
        input=json.dumps(asdict(plan)),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        sys.exit(f"the load failed:\n{done.stderr}")
    return Told(**json.loads(done.stdout))


def meter(upstream: Place) -> list[dict[str, Any]]:
    """Every answer that the simulator has billed."""
    with urllib.request.urlopen(f"http://127.0.0.1:{upstream.port}/_meter") as answer:
        billed: list[dict[str, Any]] = json.load(answer)["requests"]
    return billed
