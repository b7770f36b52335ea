"""The gateway's batches over a provider that answers as told, by a clock that tests move."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helios.bootstrap.gateway import GatewayDesk, open_gateway
from helios.bootstrap.house import House, open_house
from helios.config import load_settings
from helios.domain.budget.account import ROOT, LimitRule
from helios.domain.budget.ledger import Entry
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever, WindowRule
from helios.domain.gateway.key import LOCAL, GatewayKey
from helios.domain.gateway.refusal import Refusal
from helios.ports.upstream import Headers, UpstreamRequest
from helios.server.gateway.messages import Afterwards
from helios.services.governor import Governor
from helios.services.responses import BatchInbound
from helios.services.responses.batches import PATH, Answered
from helios.testing.clock import MovableClock
from tests.providers.raw_server import Peer, RawServer, raw_server

MODEL = "claude-haiku-5-5"
ENDED = b'{"processing_status": "ended"}'
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 50}
PRICES = """
models:
  small:
    tier: economy
    context_tokens: 200000
    prices: [{from: 2026-01-01, input: 1, output: 1, cache_write: 1, cache_read: 1}]
"""
USED = {"input_tokens": 1000, "output_tokens": 1000}
HALF = 300  # of 1000 * 0.10 + 1000 * 0.50


def wish(text: str = "안녕", **params: Any) -> dict[str, Any]:
    asked = {"model": MODEL, "max_tokens": 1000, "messages": [{"role": "user", "content": text}]}
    return {"custom_id": "하나", "params": {**asked, **params}}


def line(model: str = MODEL, **usage: Any) -> bytes:
    """A result of one that succeeded."""
    message = {"type": "message", "model": model, "usage": {**USED, **usage}}
    told = {"custom_id": "하나", "result": {"type": "succeeded", "message": message}}
    return json.dumps(told).encode() + b"\n"


@dataclass
class Scene:
    """What the provider answers: (status, body) by method and path; 0 breaks the connection. To
    `silent` it answers nothing.
    """

    clock: MovableClock = field(default_factory=MovableClock)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    made: int = 0
    silent: str = ""
    provider: RawServer = field(default_factory=RawServer)
    house: House = field(init=False)
    desk: GatewayDesk = field(init=False)
    governor: Governor = field(init=False)
    home: Path = field(default_factory=Path)
    afterwards: Afterwards = field(default_factory=Afterwards)

    async def talk(self, peer: Peer) -> None:
        method, path, _ = self.provider.requests[-1].decode().split(" ", 2)
        await self.go.wait()
        if f"{method} {path}" == self.silent:
            await asyncio.sleep(60)
        status, body = self.answers.get(f"{method} {path}", (404, b"{}"))
        if method == "POST" and f"POST {path}" not in self.answers:
            self.made += 1
            status, body = 200, b'{"id": "msgbatch_%d"}' % self.made
        if not status:
            peer.reset()
            return
        later = b"retry-after: 9\r\n" if status in (429, 529) else b""
        head = b"HTTP/1.1 %d x\r\n%scontent-length: %d\r\n\r\n" % (status, later, len(body))
        await peer.send(head + body)

    def ended(self, name: str, results: bytes, status: int = 200) -> None:
        """From now on a batch has ended, with these results."""
        self.answers[f"GET {PATH}/{name}"] = (200, ENDED)
        self.answers[f"GET {PATH}/{name}/results"] = (status, results)

    def asked(self, what: str) -> int:
        """How often the provider was asked that: method and path."""
        return sum(request.startswith(f"{what} ".encode()) for request in self.provider.requests)

    async def create(
        self, name: str, *wishes: Any, headers: Headers = (), key: GatewayKey = LOCAL
    ) -> Answered | Refusal:
        body = json.dumps({"requests": wishes or [wish()]}, ensure_ascii=False).encode()
        call = BatchInbound(name, PATH, headers, body, key, "가게", "가게")
        making = await self.desk.batches.admit(call)
        if isinstance(making, Refusal):
            return making
        try:
            return await making.send(UpstreamRequest("POST", PATH, headers, body, lane=PATH))
        finally:
            await asyncio.wait({self.afterwards.do(name, making.finish())})

    async def limit(self, unit: Unit, window: WindowRule) -> None:
        rule = LimitRule(ROOT, f"oracle-{unit}", unit, 10**12, window)
        await self.house.stores.budget.put_limit_rule(rule)

    async def entry(self, name: str) -> Entry:
        found = await self.house.stores.ledger.entry(name)
        assert found
        return found

    async def held(self, name: str) -> int:
        """The millionths of a dollar that a batch was held at."""
        return _of(await self.entry(name), Unit.MICROUSD).estimate

    async def books(self, name: str) -> tuple[str, int, int]:
        """State in the ledger, millionths of a dollar and messages charged."""
        found = await self.entry(name)
        charged = [_of(found, unit).charged for unit in (Unit.MICROUSD, Unit.MESSAGES)]
        return found.state.value, charged[0], charged[1]

    async def reported(self) -> tuple[int, int]:
        """The same of all batches, as the reports have it."""
        book, forever = self.house.stores.budget, (0.0, 1e12)
        rows = await book.totals("account", *forever, simulated=True)
        return sum(row.cost_microusd for row in rows), sum(row.messages for row in rows)

    async def open(self) -> list[str]:
        batches = await self.house.stores.keys.open_batches(simulated=True)
        return [batch.upstream_id for batch in batches]

    def logged(self, event: str) -> list[str]:
        """The lines of the log about that."""
        lines = (self.home / "logs" / "helios.jsonl").read_text("utf-8").splitlines()
        return [line for line in lines if json.loads(line)["event"] == event]


def _of(entry: Entry, unit: Unit) -> Any:
    return next(one for one in entry.lines if one.limit_key.endswith(f"oracle-{unit}/{unit}"))


def run(
    home: Path,
    part: Callable[[Scene], Awaitable[None]],
    *,
    window: WindowRule | None = None,
    **settings: str,
) -> None:
    """Play a part; dollars and messages are counted, in this window."""

    async def whole() -> None:
        async with _scene(home / "집", window or Forever(), settings) as scene:
            await part(scene)

    asyncio.run(whole())


@asynccontextmanager
async def _scene(home: Path, window: WindowRule, more: dict[str, str]) -> AsyncIterator[Scene]:
    scene = Scene(home=home)
    scene.go.set()
    async with raw_server(scene.talk) as scene.provider:
        url = scene.provider.url
        flags = {"home": str(home), "provider": "simulator", "simulator_url": url, **more}
        settings = load_settings(flags, environment={})
        async with open_house(settings, clock=scene.clock) as scene.house:
            for unit in (Unit.MICROUSD, Unit.MESSAGES):
                await scene.limit(unit, window)
            desk = await scene.house.desk()
            async with open_gateway(scene.house, desk) as door:
                assert door
                scene.desk, scene.governor = door, desk.governor
                yield scene
