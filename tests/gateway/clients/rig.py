"""The gateway in front of the simulator, both over real HTTP, and their two sets of books."""

import asyncio
import math
import sqlite3
import threading
from collections.abc import Awaitable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import uvicorn
import yaml
from starlette.types import ASGIApp, Receive, Scope, Send

from helios.bootstrap.gateway import open_gateway
from helios.bootstrap.house import Desk, House, open_house
from helios.config import load_settings
from helios.domain.budget.account import ROOT, LimitRule
from helios.domain.budget.ledger import Request
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever, OpensOnUse, WindowRule
from helios.domain.pricing import Tier
from helios.providers.simulator import SimulatorProvider, start_simulator
from helios.providers.simulator.meter import Billed
from helios.server.app import create_app
from helios.server.gateway.door import Gateway
from helios.server.hosts import LOOPBACK, KnownHosts
from helios.server.serving import config, listen
from helios.telemetry.system_clock import SystemClock
from tests.gateway.clients.protocol import PROJECT, To

HOURS_5 = 5 * 3600.0
SETTLED_S = 20.0
ORACLE = "oracle"
"""The name of the rules that count everything and stop nothing."""


@dataclass(frozen=True)
class Seen:
    """A request as it reached the gateway."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Books:
    """What was spent: millionths of a dollar, and messages."""

    microusd: int
    messages: int


@dataclass
class Rig:
    """Everything runs in the event loop of a thread of its own; tests call from theirs."""

    url: str
    house: House
    desk: Desk
    simulator: SimulatorProvider
    home: Path
    loop: asyncio.AbstractEventLoop
    seen: list[Seen] = field(default_factory=list)

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run it in the gateway's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def to(self, *, url: str = "", **headers: str) -> To:
        """Where clients send, with a home of their own."""
        folder = self.home / "clients"
        folder.mkdir(exist_ok=True)
        number = len(list(folder.iterdir()))
        home = folder / f"집{number}"
        home.mkdir()
        return To(url or self.url, "hel_any", home, {"X-Helios-Project": PROJECT, **headers})

    @property
    def asked(self) -> list[Seen]:
        """The Messages requests that reached the gateway."""
        return [seen for seen in self.seen if seen.path == "/v1/messages"]

    def limit(self, unit: Unit, cap: int, window: WindowRule, spent: int = 0) -> None:
        """Put a ceiling on the clients' project, so much of which is spent already."""
        rule = LimitRule(PROJECT, "ceiling", unit, cap, window)
        self.do(self._limit(rule, spent))

    def empty_budget(self) -> None:
        """All that the project may ever spend is spent."""
        self.limit(Unit.MICROUSD, 1_000, Forever(), spent=1_000)

    def close_window(self) -> None:
        """All messages of these five hours are spent."""
        self.limit(Unit.MESSAGES, 1, OpensOnUse(HOURS_5), spent=1)

    @contextmanager
    def room_taken(self) -> Iterator[None]:
        """The project's only message is held by somebody until the block ends."""
        self.limit(Unit.MESSAGES, 1, Forever())
        fence = self.do(self._hold("somebody"))
        yield
        self.do(self.house.stores.ledger.release("somebody", fence))

    async def _limit(self, rule: LimitRule, spent: int) -> None:
        await self.house.stores.budget.put_limit_rule(rule)
        await self.desk.governor.refresh(now=True)
        if spent:
            request = Request("before", Tier.ECONOMY, {rule.unit: spent})
            limits = [limit for limit in self._limits() if rule.key in limit.key]
            await self.house.stores.ledger.record(request, limits)

    async def _hold(self, name: str) -> int:
        request = Request(name, Tier.ECONOMY, {Unit.MESSAGES: 1}, lease_s=60)
        limits = [limit for limit in self._limits() if "ceiling" in limit.key]
        granted = await self.house.stores.ledger.reserve(request, limits)
        assert granted.entry, granted
        return granted.entry.fence

    def _limits(self) -> tuple[Any, ...]:
        return self.desk.governor.ceilings.of_account(PROJECT)

    def billed(self) -> Books:
        """What the simulator's own meter says."""
        answers = self.simulator.reading().answers
        return Books(sum(self._price(answer) for answer in answers), len(answers))

    def _price(self, answer: Billed) -> int:
        whole = self.house.catalogue.model(answer.model).cost_microusd(answer.usage)
        return math.ceil(whole / 2) if "batch" in answer.labels else whole

    def settled(self) -> Books:
        """What the ledger charged, once nothing is open any more."""
        deadline = perf_counter() + SETTLED_S
        while self._rows("SELECT 1 FROM ledger_entries WHERE state IN ('held', 'sent')"):
            assert perf_counter() < deadline, "entries stay open"
            sleep(0.02)
        return Books(self._charged(Unit.MICROUSD), self._charged(Unit.MESSAGES))

    def reported(self) -> Books:
        """What the usage reports say."""
        query = "SELECT coalesce(sum(cost_microusd), 0), coalesce(sum(messages), 0) FROM spends"
        return Books(*self._rows(query)[0])

    def projects(self) -> set[str]:
        """Whose work was booked."""
        return {row[0] for row in self._rows("SELECT project FROM spends")}

    def authors(self) -> list[tuple[str, str]]:
        """Task and agent of what was booked."""
        return [tuple(row) for row in self._rows("SELECT task, agent FROM spends")]

    def _charged(self, unit: Unit) -> int:
        query = (
            "SELECT coalesce(sum(charged), 0) FROM ledger_lines "
            f"WHERE limit_key LIKE '%{ORACLE}%/{unit}'"
        )
        return int(self._rows(query)[0][0])

    def _rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.home / "helios.db")) as database:
            return database.execute(query).fetchall()

    def books_equal_meter(self, *, messages: int) -> None:
        """The ledger, the reports and the simulator's meter say the same, to the micro-dollar."""
        settled = self.settled()
        deadline = perf_counter() + SETTLED_S
        while self.reported() != settled and perf_counter() < deadline:
            sleep(0.02)  # reports are written beside the ledger, not before it
        assert settled == self.billed() == self.reported()
        assert settled.messages == messages
        balances = self.do(self.house.stores.ledger.balances(self._limits()))
        assert not any(balance.breach for balance in balances)


def entry(contains: str, text: str = "", turn: int = 0, **more: Any) -> dict[str, Any]:
    """One scripted answer, in any turn or in this one only."""
    when = {"contains": contains, **({"turn": turn} if turn else {})}
    return {"when": when, **({"text": text} if text else {}), **more}


@contextmanager
def gateway(
    home: Path, script: Sequence[Mapping[str, Any]], *, time_scale: float = 0.0, **settings: Any
) -> Iterator[Rig]:
    """A gateway with empty books until the block ends; `time_scale` slows the simulator."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "script.yaml").write_text(
        yaml.safe_dump({"answers": list(script)}, allow_unicode=True), "utf-8"
    )
    started: list[Rig | BaseException] = []
    ready, end = threading.Event(), threading.Event()

    async def live() -> None:
        async with AsyncExitStack() as stack:
            rig, server, serving = await _serve(stack, home, time_scale, settings)
            started.append(rig)
            ready.set()
            await asyncio.to_thread(end.wait)
            server.should_exit = True
            await serving

    def thread() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            started.append(error)
            raise
        finally:
            ready.set()

    running = threading.Thread(target=thread)
    running.start()
    try:
        ready.wait(60)
        rig = started[0]
        assert isinstance(rig, Rig), rig
        yield rig
    finally:
        end.set()
        running.join(60)


async def _serve(
    stack: AsyncExitStack, home: Path, time_scale: float, settings: Mapping[str, Any]
) -> tuple[Rig, uvicorn.Server, Awaitable[None]]:
    clock = SystemClock()
    simulator = await start_simulator(
        script=home / "script.yaml",
        meter=home / "meter.jsonl",
        time_scale=time_scale,
        clock=clock,
    )
    stack.push_async_callback(simulator.close)
    flags = {"home": str(home), "provider": "simulator", "simulator_url": simulator.base_url}
    house = await stack.enter_async_context(
        open_house(load_settings({**flags, **settings}, environment={}))
    )
    for unit in (Unit.MICROUSD, Unit.MESSAGES):
        rule = LimitRule(ROOT, f"{ORACLE}-{unit}", unit, 10**12, Forever())
        await house.stores.budget.put_limit_rule(rule)
    desk = await house.desk()
    door = await stack.enter_async_context(open_gateway(house, desk))
    app = Gateway(create_app(desk), door)
    stack.push_async_callback(app.close, 5.0, books_s=5.0)
    listener = stack.enter_context(listen("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    rig = Rig(url, house, desk, simulator, home, asyncio.get_running_loop())
    server = uvicorn.Server(config(_seen_by(rig, KnownHosts(app, hosts=LOOPBACK))))
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    return rig, server, serving


def _seen_by(rig: Rig, app: ASGIApp) -> ASGIApp:
    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        headers = {key.decode(): value.decode("latin-1") for key, value in scope["headers"]}
        rig.seen.append(Seen(scope["method"], scope["path"], headers))
        await app(scope, receive, send)

    return noting
