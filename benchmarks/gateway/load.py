"""The load: so many clients on connections of their own, in a process that costs little.

    echo '{"port": 8002, ...}' | python benchmarks/gateway/load.py

No HTTP library: the request is encoded once, of the answer only its status and its end are read
while it arrives. Each client asks again as soon as it has its answer, or after a pause of random
length, so that clients do not march in step.
"""

import asyncio
import json
import random
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import uvloop
from bodies import request_body, request_head

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_DELTA = b"content_block_delta"
_ID = re.compile(rb"(msg|req)_sim_[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. Times in seconds; a run ends after `seconds` or after `calls`, whichever is set.

    `ramp` spreads the first requests of the clients; `whole` keeps every answer to the end and
    counts how many different ones there were, apart from their names. `by` is
    the target's name.
    """

    port: int
    key: str
    by: str
    clients: int
    body_bytes: int = 2_000
    stream: bool = True
    seconds: float = 0.0
    calls: int = 0
    pause: float = 0.0
    ramp: float = 0.0
    whole: bool = False


@dataclass(slots=True)
class Told:
    """What happened. Spans are seconds: to the first delta, and to the end of the answer."""

    first: list[float] = field(default_factory=list)
    spans: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    took: float = 0.0
    cpu: float = 0.0


class Run:
    """The clients' common state."""

    def __init__(self, plan: Plan) -> None:
        body = request_body(plan.body_bytes, stream=plan.stream)
        self.plan = plan
        self.request = request_head(plan.port, plan.key, plan.by, len(body)) + body
        self.told = Told()
        self.draw = random.Random(7)  # the same pauses for every target
        self.left = plan.calls
        self.ends = time.perf_counter() + plan.seconds if plan.seconds else float("inf")

    def goes_on(self) -> bool:
        if self.plan.calls:
            self.left -= 1
            return self.left >= 0
        return time.perf_counter() < self.ends

    def failed(self, why: str) -> None:
        self.told.failures[why] = self.told.failures.get(why, 0) + 1


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._asking = False
        self._got = bytearray()
        self._needs: int | None = None
        self._head = 0
        self._status = b""
        self._began = self._first = 0.0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._got += data
        got = self._got
        if self._needs is None:
            head = got.find(b"\r\n\r\n")
            if head < 0:
                return
            length = _LENGTH.search(got, 0, head)
            self._status = bytes(got[9:12])
            self._head = head + 4
            self._needs = self._head + int(length[1]) if length else -1
        if not self._first and _DELTA in (data if len(data) > 64 else got):
            self._first = time.perf_counter()
        if len(got) == self._needs or (self._needs < 0 and got.endswith(b"\r\n0\r\n\r\n")):
            self._answered()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asking:
            self._run.failed(f"connection lost: {exc}")
        self._finish()

    def _next(self) -> None:
        if self._transport.is_closing() or not self._run.goes_on():
            self._finish()
            return
        self._got = bytearray()
        self._needs = None
        self._first = 0.0
        self._asking = True
        self._began = time.perf_counter()
        self._transport.write(self._run.request)

    def _answered(self) -> None:
        run, now = self._run, time.perf_counter()
        self._asking = False
        if self._status != b"200":
            run.failed(bytes(self._got)[9:400].decode("latin-1"))
        else:
            run.told.spans.append(now - self._began)
            run.told.first.append((self._first or now) - self._began)
            if run.plan.whole:
                text = answer_of(bytes(self._got[self._head :]), chunked=self._needs == -1)
                run.told.answers[text] = run.told.answers.get(text, 0) + 1
        if pause := run.plan.pause:
            asyncio.get_running_loop().call_later(run.draw.uniform(0, pause), self._next)
        else:
            self._next()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
            self._transport.close()


def answer_of(raw: bytes, *, chunked: bool) -> str:
    """An answer's body without its framing and its names."""
    if chunked:
        body, at = bytearray(), 0
        while size := int(raw[at : (end := raw.index(b"\r\n", at))], 16):
            body += raw[end + 2 : end + 2 + size]
            at = end + 4 + size
        raw = bytes(body)
    return _ID.sub(rb"\1", raw).decode()


async def fire(plan: Plan) -> Told:
    """Do what is planned."""
    run, loop = Run(plan), asyncio.get_running_loop()
    began = time.perf_counter()

    async def one(number: int) -> None:
        await asyncio.sleep(plan.ramp * number / plan.clients)
        try:
            _, client = await loop.create_connection(lambda: Client(run), "127.0.0.1", plan.port)
        except OSError as error:
            run.failed(f"no connection: {error}")
            return
        await client.done

    cpu = time.process_time()
    await asyncio.gather(*(one(number) for number in range(plan.clients)))
    run.told.took = time.perf_counter() - began
    run.told.cpu = time.process_time() - cpu
    return run.told


def main() -> None:
    plan: dict[str, Any] = json.load(sys.stdin)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        told = runner.run(fire(Plan(**plan)))
    json.dump(asdict(told), sys.stdout)


if __name__ == "__main__":
    main()
