"""`helios serve` ends: every client is told, every entry closed, in a bounded time."""

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
from typing import Any

import httpx2
import pytest
from starlette.types import Message

from helios.server import serving
from helios.server.gateway import messages
from helios.server.gateway.farewell import Told
from helios.stores.sql import database
from tests.e2e.helios_process import ROOT, Helios
from tests.gateway.recorder import Recorder, plain, recorder
from tests.gateway.test_budget import START

pytestmark = pytest.mark.slow
LIMIT = {"unit": "messages", "cap": 1, "window": {"kind": "forever"}}
BUDGET = "/api/v1/helios/budget"
TEXT = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
    b'{"type":"text","text":""}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
    b'{"type":"text_delta","text":"\xec\x95\x88\xeb\x85\x95"}}\n\n'
)
END = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":5}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
)
PATIENCE = "import helios.server.serving as s; s.GOODBYE_S = {}; s.BILLS_S = 0.3; "
MAIN = "from helios.cli.main import main; main()"


class Slow:
    """An upstream that begins streams and ends them when it is told, and answers nothing else."""

    def __init__(self, *, counts: bool) -> None:
        self.go_on = threading.Event()
        self.leave = threading.Event()
        self._counts = counts

    def __call__(self, connection: socket.socket, body: bytes) -> None:
        asked = json.loads(body)
        if self._counts and "max_tokens" not in asked and "requests" not in asked:
            plain(200, b'{"input_tokens": 7}')(connection, body)
            return
        if asked.get("stream"):
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            connection.sendall(head + b"transfer-encoding: chunked\r\n\r\n" + _chunk(START + TEXT))
            if b"ends" in body:
                self.go_on.wait(30)
                connection.sendall(_chunk(END) + b"0\r\n\r\n")
                return
        self.leave.wait(60)
        connection.close()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Client:
    """One request, and what comes of it."""

    def __init__(self, url: str, path: str, body: Any, project: str = "", missing: int = 0) -> None:
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(content) + missing}\r\n"
        head += f"x-helios-project: {project}\r\n" if project else ""
        self.socket = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
        self.socket.settimeout(30)
        self.socket.sendall(head.encode() + b"\r\n" + content)

    def hears(self, what: bytes) -> None:
        seen = b""
        while what not in seen:
            seen += (more := self.socket.recv(65536))
            assert more, seen

    def rest(self) -> bytes:
        """All that comes until the server hangs up."""
        with self.socket:
            return b"".join(iter(lambda: self.socket.recv(65536), b""))

    def refusal(self) -> tuple[int, dict[str, str], Any]:
        head, _, body = self.rest().partition(b"\r\n\r\n")
        first, *fields = head.decode().split("\r\n")
        return int(first.split()[1]), dict(f.split(": ", 1) for f in fields), json.loads(body)


@contextmanager
def serve(
    home: Path, upstream: Recorder, goodbye_s: float, patience: str = "", **more: str
) -> Iterator[tuple[Any, str, Helios]]:
    helios = Helios(
        home,
        more={
            **more,
            "HELIOS_PLAN": "api",
            "ANTHROPIC_BASE_URL": upstream.url,
            "ANTHROPIC_API_KEY": "sk-열쇠".encode().hex(),
        },
    )
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PATIENCE.format(goodbye_s) + patience + MAIN,
            "serve",
            "--port",
            "0",
        ],
        env=helios.environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield process, process.stdout.readline().strip() if process.stdout else "", helios
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def message(text: str, *, stream: bool = False) -> dict[str, Any]:
    return {
        "model": "claude-haiku-5-5",
        "max_tokens": 1000,
        "stream": stream,
        "messages": [{"role": "user", "content": text}],
    }


def ended_well(process: "subprocess.Popen[str]", helios: Helios) -> dict[str, int]:
    """Code 0, nothing that looks like a crash; how many entries there are in each state."""
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    log = (helios.home / "logs" / "helios.jsonl").read_text("utf-8")
    assert not [line for line in log.splitlines() if json.loads(line)["level"] == "error"], log
    assert helios.rows("pragma integrity_check") == [("ok",)]
    return dict(helios.rows("select state, count(*) from ledger_entries group by state"))


def until(seen: Any) -> None:
    for _ in range(1000):
        if seen():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it did not come")


def test_every_client_is_told_and_every_entry_closed(tmp_path: Path) -> None:
    slow = Slow(counts=True)
    with recorder(slow) as upstream, serve(tmp_path / "집", upstream, 2.5) as (process, url, home):
        made = httpx2.put(f"{url}{BUDGET}/limits/shop/only", json=LIMIT, trust_env=False)
        assert made.status_code == 200, made.text
        stalled = Client(url, "/v1/messages", message("가만히", stream=True), "shop")
        stalled.hears("안녕".encode())
        ends = Client(url, "/v1/messages", message("ends", stream=True))
        ends.hears("안녕".encode())
        waits = Client(url, "/v1/messages", message("조용히"))
        wish = {"custom_id": "a", "params": message("묶음")}
        batch = Client(url, "/v1/messages/batches", {"requests": [wish]})
        until(lambda: len(upstream.bodies) == 4)
        held = Client(url, "/v1/messages", message("기다림"), "shop")
        arriving = Client(url, "/v1/messages", message("반"), missing=100)
        wishes = {"estimated_messages": 1, "account": "shop", "wait_s": 60}
        allocation = Client(url, f"{BUDGET}/request", wishes)
        idle = Client(url, "/v1/nothing", {})
        idle.hears(b"not_found_error")
        threading.Event().wait(0.5)

        process.send_signal(signal.SIGTERM)
        assert idle.rest() == b""
        for waiting in (held, arriving):
            status, fields, told = waiting.refusal()
            assert (status, told["error"]["type"]) == (503, "api_error")
            assert fields["x-should-retry"] == "true"
            assert int(fields["retry-after"]) > 0
        slow.go_on.set()
        assert ends.rest().endswith(b'{"type":"message_stop"}\n\n\r\n0\r\n\r\n')
        assert process.poll() is None
        for sent in (waits, batch):
            status, _, told = sent.refusal()
            assert (status, told["error"]["type"]) == (503, "api_error")
        *_, event, _ = stalled.rest().split(b"\n\n")
        assert event.split(b"\r\n")[-1].startswith(b"event: error\ndata: {")
        status, _, told = allocation.refusal()
        assert (status, told["code"]) == (503, "stopping")
        slow.leave.set()
        assert ended_well(process, home) == {"settled": 2, "charged-estimate": 2}
        assert len([body for body in upstream.bodies if b"max_tokens" in body]) == 4


def test_a_second_signal_ends_at_once_and_closes_the_books(tmp_path: Path) -> None:
    slow = Slow(counts=False)
    with recorder(slow) as upstream, serve(tmp_path / "집", upstream, 600) as (process, url, home):
        stalled = Client(url, "/v1/messages", message("가만히", stream=True))
        stalled.hears("안녕".encode())
        waits = Client(url, "/v1/messages", message("조용히"))
        until(lambda: len(upstream.bodies) == 2)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGTERM)
        assert b"event: error" in stalled.rest()
        assert waits.refusal()[0] == 503
        assert ended_well(process, home) == {"charged-estimate": 2}


def test_it_ends_before_docker_kills_it() -> None:
    waits = serving.GOODBYE_S + serving.BILLS_S + 4 * serving.LAST_WORDS_S + 2 * messages.LAST_S
    assert waits + 2 * serving.LOOK_EVERY_S < serving.END_S < 10
    assert serving.BOOKS_S + database.AT_THE_END.writers_s < serving.END_S


@pytest.mark.parametrize(
    ("kind", "last", "told"),
    [
        (b"text/event-stream", None, 1),
        (b"Text/Event-Stream; charset=utf-8", TEXT, 1),
        (b"text/event-stream", TEXT[:-20], None),  # would be read as one event with what follows
        (b"application/json", b"{", None),
        (b"application/json", "끝".encode(), 0),
    ],
)
def test_what_has_begun_is_broken_off_where_that_can_be_said(
    kind: bytes, last: bytes | None, told: int | None
) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def go() -> bool:
        answer = Told(send)
        await answer({"type": "http.response.start", "headers": [(b"content-type", kind)]})
        if last is not None:
            more = told != 0
            await answer({"type": "http.response.body", "body": last, "more_body": more})
        sent.clear()
        return await answer.break_off("gw_1")

    assert asyncio.run(go()) is (told is not None)
    assert len(sent) == (told or 0)
    assert all(message["body"].startswith(b"event: error\n") for message in sent)
