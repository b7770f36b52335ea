"""litellm's proxy, in an environment of its own, with as much of its budgets as runs here.

Its virtual keys need PostgreSQL and the engines of Prisma, which are fetched from a host that is no
package index; its budgets a provider and a deployment need neither. The second kind is what is on:
each call is checked against them and each answer's cost is counted, in memory, without a database.
"""

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
from bodies import MODEL
from places import ENVIRONMENT, PLENTY, ROOT, Place

VERSION = "1.109"
FOLDER = ROOT / ".cache" / f"litellm-{VERSION}"
BUDGETS = (
    "on: master key, a budget for the provider and one for the deployment, cost of every answer, in"
    " memory; not on: virtual keys with budgets of their own (they need Prisma's engines)"
)
KEY = "sk-bench"
# Pinned to releases that an index may not have yet; none of them is on the measured path.
LOOSE = ("certifi", "litellm-enterprise", "litellm-proxy-extras")
START_S = 180


class NoRivalError(Exception):
    """It cannot be installed or does not start; why."""


def install() -> Path:
    """The program; installed when it is missing.

    Raises:
        NoRivalError: that failed.
    """
    program = FOLDER / "bin" / "litellm"
    if (FOLDER / "complete").exists():
        return program
    print(f"installing litellm {VERSION} into {FOLDER.relative_to(ROOT)} ...", flush=True)
    _run(sys.executable, "-m", "venv", "--clear", str(FOLDER))
    python = str(FOLDER / "bin" / "python")
    _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv")
    loose = FOLDER / "loose.txt"
    loose.write_text("\n".join(LOOSE), encoding="utf-8")
    asked = (python, "-m", "uv", "pip", "install", "--quiet", "--python", python)
    # With what its own image has, without which it looks for modules on every request, and with the
    # faster parser, which it uses when it is there.
    wanted = (f"litellm[proxy,proxy-runtime]=={VERSION}.*", "httptools")
    try:
        _run(*asked, *wanted)
    except NoRivalError:
        _run(*asked, "--override", str(loose), *wanted)
    (FOLDER / "complete").touch()
    return program


def version() -> str:
    """What is installed."""
    program = "from importlib.metadata import version; print(version('litellm'))"
    return _run(str(FOLDER / "bin" / "python"), "-c", program).strip()


def _run(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=900)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoRivalError(str(error)) from error
    if done.returncode:
        raise NoRivalError(done.stderr.strip()[-600:])
    return done.stdout


@contextlib.contextmanager
def litellm(upstream: Place, folder: Path) -> Iterator[Place]:
    """The proxy, one worker, on the same simulator.

    Raises:
        NoRivalError: it cannot be installed or does not start.
    """
    program = install()
    config = folder / "litellm.json"  # JSON is YAML
    config.write_text(json.dumps(_config(upstream)), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    environment = {
        name: value
        for name, value in ENVIRONMENT.items()
        if name not in ("PYTHONPATH", "DATABASE_URL")
    }
    environment |= {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
    }
    with (folder / "litellm.log").open("w+") as log:
        process = subprocess.Popen(
            [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            _wait(process, port, folder / "litellm.log")
            yield Place("litellm", port, KEY, psutil.Process(process.pid))
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def spent_usd(place: Place) -> float:
    """What it says was spent on the provider."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{place.port}/provider/budgets", headers={"x-api-key": KEY}
    )
    with urllib.request.urlopen(asked) as answer:
        return float(json.load(answer)["providers"]["anthropic"]["spend"])


def _config(upstream: Place) -> dict[str, object]:
    model = {
        "model": f"anthropic/{MODEL}",
        "api_base": f"http://127.0.0.1:{upstream.port}",
        "api_key": "simulated",
        "input_cost_per_token": 2e-6,
        "output_cost_per_token": 10e-6,
        "cache_creation_input_token_cost": 2.5e-6,
        "cache_read_input_token_cost": 0.1e-6,
        "max_budget": float(PLENTY),
        "budget_duration": "1d",
        "extra_headers": {"x-helios-by": "litellm"},
    }
    limit = {"budget_limit": float(PLENTY), "time_period": "1d"}
    return {
        "model_list": [{"model_name": MODEL, "litellm_params": model}],
        "router_settings": {"provider_budget_config": {"anthropic": limit}},
        "litellm_settings": {"telemetry": False},
        "general_settings": {"master_key": KEY},
    }


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    ends = time.perf_counter() + START_S
    while time.perf_counter() < ends and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=5).close()
            return
        time.sleep(0.3)
    raise NoRivalError(f"it did not start:\n{log.read_text(encoding='utf-8')[-1500:]}")
