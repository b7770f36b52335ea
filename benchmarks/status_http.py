"""`helios serve` answering `status`, against a bare FastAPI endpoint in the same run.

Servers and load run in processes of their own, turn about, so that a busy machine slows both alike.
`--seconds 10` measures longer, `--json` prints data.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import psutil

SOURCE = Path(__file__).resolve().parents[1] / "src"
STATUS = "/api/v1/helios/budget/status"
ROUNDS = 5
BARE = """
import socket, uvicorn
from fastapi import FastAPI
app = FastAPI(telemetry=dict(tracing=False, metrics=False, logs=False))
@app.get("/")
async def hello() -> dict[str, str]:
    return {"status": "ok"}
listener = socket.create_server(("127.0.0.1", 0))
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
uvicorn.Server(config).run(sockets=[listener])
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What one round of requests met; times in milliseconds. `cpu_us` is the server's own processor
    time a request in microseconds, which others on the machine disturb least.
    """

    rate: float
    cpu_us: float
    p50: float
    p99: float


async def fire(port: int, path: str, connections: int, seconds: float) -> list[float]:
    """Keep every connection busy; how long each request took, in seconds."""
    spans: list[float] = []
    ends = time.perf_counter() + seconds
    sent = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < ends:
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            assert length
            await reader.readexactly(int(length[1]))
            spans.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return spans


def measure(
    server: "subprocess.Popen[str]", url: str, path: str, *, connections: int, seconds: float
) -> Load:
    """One round, from a process of its own."""
    before = _cpu_s(server)
    words = [url.rpartition(":")[2], path, str(connections), str(seconds)]
    out = subprocess.run(
        [sys.executable, __file__, "--fire", *words], check=True, capture_output=True, text=True
    ).stdout
    told = json.loads(out)
    cpu_us = (_cpu_s(server) - before) / told.pop("requests") * 1e6
    return Load(**told, cpu_us=cpu_us)


def _cpu_s(server: "subprocess.Popen[str]") -> float:
    times = psutil.Process(server.pid).cpu_times()
    return times.user + times.system


def fire_and_tell(port: str, path: str, connections: str, seconds: str) -> None:
    """The other process's part."""
    spans = sorted(asyncio.run(fire(int(port), path, int(connections), float(seconds))))
    told = {
        "requests": len(spans),
        "rate": len(spans) / float(seconds),
        "p50": spans[len(spans) // 2] * 1e3,
        "p99": spans[int(len(spans) * 0.99)] * 1e3,
    }
    print(json.dumps(told))


def start(words: list[str], home: Path) -> "subprocess.Popen[str]":
    """A server; its first line is its URL."""
    return subprocess.Popen(
        [sys.executable, *words],
        env={**os.environ, "HELIOS_HOME": str(home), "PYTHONPATH": _path()},
        stdout=subprocess.PIPE,
        text=True,
    )


def _path() -> str:
    return os.pathsep.join(filter(None, (str(SOURCE), os.environ.get("PYTHONPATH"))))


def url_of(server: "subprocess.Popen[str]") -> str:
    """Where it listens."""
    out: IO[str] | None = server.stdout
    assert out is not None
    return out.readline().strip()


def best(loads: list[Load]) -> Load:
    """The round that was disturbed least."""
    return max(loads, key=lambda load: load.rate)


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--fire"]:
        return fire_and_tell(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        serve = ["-c", "from helios.cli.serve import serve; serve(port=0)"]
        servers = [start(words, Path(folder)) for words in (["-c", BARE], serve)]
        try:
            places = list(zip([url_of(server) for server in servers], ("/", STATUS), strict=True))
            rounds = [
                [
                    measure(server, url, path, connections=asked.connections, seconds=asked.seconds)
                    for server, (url, path) in zip(servers, places, strict=True)
                ]
                for _ in range(ROUNDS)
            ]
        finally:
            for server in servers:
                server.terminate()
                server.wait(10)
    bare, ours = (best([one[n] for one in rounds]) for n in (0, 1))
    ratio = bare.cpu_us / ours.cpu_us
    if asked.json:
        print(json.dumps({"bare": asdict(bare), "helios": asdict(ours), "ratio": ratio}, indent=2))
        return None
    for name, load in (("bare FastAPI", bare), ("helios serve, status", ours)):
        print(
            f"{name:22}{load.rate:8,.0f}/s  p50 {load.p50:6.2f} ms  p99 {load.p99:6.2f} ms  "
            f"server's own {load.cpu_us:4.0f} us"
        )
    print(f"{'ratio, by own time':22}{ratio:8.2f}    goal: 2,000/s, p99 under 10 ms")
    return None


if __name__ == "__main__":
    main()
