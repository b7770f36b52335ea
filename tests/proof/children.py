"""What the processes do that are stopped and killed: functions of one argument each, and a pipe."""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sqlalchemy import RootTransaction, text

from helios.domain.budget.ledger import Request
from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever, OpensOnUse
from helios.domain.pricing import Tier
from helios.errors import ReservationLost, StoreError
from helios.stores.sql import engines
from helios.stores.sql.database import Patience, open_database
from helios.stores.sql.ledger import SqlLedger
from helios.testing.scripted_model import ScriptedProvider, reply
from tests.services.rooms import Rooms, in_rooms

LEASE_S = 60.0
DEAREST = 10
MONTH_S = 30 * 86_400.0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Meter:
    """The provider's own record, which outlives whoever calls: a line a call."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def bill(self, request_id: str, tokens: int) -> None:
        os.write(self._file, f"{request_id} {tokens}\n".encode())

    @staticmethod
    def read(path: Path) -> list[tuple[str, int]]:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [(name, int(tokens)) for name, tokens in (line.split() for line in lines)]


def room(number: int, cap: int) -> list[Limit]:
    """A tight limit, and one that is only booked."""
    return [
        Limit(f"room/{number}", Unit.TOKENS, cap, OpensOnUse(MONTH_S), f"room/{number}", "room"),
        Limit("all/messages", Unit.MESSAGES, 10**9, Forever(), "all", "messages"),
    ]


def wish(request_id: str, tokens: int, lease_s: float = LEASE_S) -> Request:
    return Request(
        request_id, Tier.STANDARD, {Unit.TOKENS: tokens, Unit.MESSAGES: 1}, lease_s=lease_s
    )


@dataclass(frozen=True)
class Spending:
    """Callers who spend one budget until nothing fits, or one room after another for ever."""

    url: str
    name: str
    cap: int
    meter: Path
    callers: int = 10
    for_ever: bool = False
    server_s: float = 5.0


async def spend(ledger: SqlLedger, job: Spending, began: Callable[[], None]) -> None:
    """Reserve, send, settle; who loses the store on the way gives the call up."""
    meter, chance, number = Meter(job.meter), random.Random(job.name), 0

    async def call(request_id: str, tokens: int) -> bool:
        """Whether there may be room for more."""
        nonlocal number
        mine = number
        admission = await ledger.reserve(wish(request_id, tokens), room(mine, job.cap))
        if not admission.entry:
            if job.for_ever:
                number = max(number, mine + 1)
            elif admission.waits:
                await asyncio.sleep(0.02)
            return job.for_ever or admission.waits
        await ledger.mark_sent(request_id, admission.entry.fence)
        actual = chance.randint(1, tokens)
        meter.bill(request_id, actual)
        await asyncio.sleep(0)
        used = {Unit.TOKENS: actual, Unit.MESSAGES: 1}
        await ledger.settle(request_id, admission.entry.fence, used)
        began()
        return True

    async def caller(who: int) -> None:
        tokens, more, turn = chance.randint(1, DEAREST), True, 0
        while more:
            turn += 1
            try:
                more = await call(f"{job.name}.{who}.{turn}:{tokens}", tokens)
            except (StoreError, ReservationLost):
                # What became of it nobody knows here: the ledger does.
                continue
            tokens = chance.randint(1, DEAREST)

    await asyncio.gather(*(caller(who) for who in range(job.callers)))


async def _spending(job: Spending, pipe: Connection) -> None:
    database = open_database(job.url, patience=Patience(server_s=job.server_s))
    pipe.send("ready")
    if not job.for_ever:
        await asyncio.to_thread(pipe.recv)
    has_begun = False

    def began() -> None:
        nonlocal has_begun
        if job.for_ever and not has_begun:
            has_begun = True
            pipe.send("spending")

    await spend(SqlLedger(database), job, began)
    await database.close()
    pipe.send("done")


def spending(job: Spending, pipe: Connection) -> None:
    asyncio.run(_spending(job, pipe))


async def _naive(job: Spending, pipe: Connection) -> None:
    """The way that fails: look at the counter, call, add the cost."""
    database, chance, meter = open_database(job.url), random.Random(job.name), Meter(job.meter)
    look, add = text("SELECT spent FROM naive"), text("UPDATE naive SET spent = spent + :cost")
    pipe.send("ready")
    await asyncio.to_thread(pipe.recv)

    async def caller(who: int) -> None:
        while True:
            cost = chance.randint(1, DEAREST)
            spent = await database.read(lambda connection: connection.execute(look).scalar_one())
            if spent + cost > job.cap:
                return
            meter.bill(f"{job.name}.{who}", cost)
            await asyncio.sleep(0.002)
            await database.write(
                lambda connection, paid=cost: connection.execute(add, {"cost": paid}).close()
            )

    await asyncio.gather(*(caller(who) for who in range(job.callers)))
    await database.close()
    pipe.send("done")


def spending_naively(job: Spending, pipe: Connection) -> None:
    asyncio.run(_naive(job, pipe))


@dataclass(frozen=True)
class Asking:
    """One call through the services, which dies at its `step`th transaction that writes.

    `where` is before the transaction, inside it (all is written, nothing committed) or after its
    commit; or, at the provider, `unbilled` and `billed`.
    """

    folder: Path
    step: int = 0
    where: str = ""

    @property
    def meter(self) -> Path:
        return self.folder / "meter"


class BillingProvider(ScriptedProvider):
    """Bills, then answers; may die between."""

    def __init__(self, job: Asking) -> None:
        super().__init__([reply("대답", fixed="yes")])
        self._job = job

    async def call(self, request: Any) -> Any:
        if self._job.where == "unbilled":
            die()
        Meter(self._job.meter).bill("call", 150)
        if self._job.where == "billed":
            die()
        return await super().call(request)


class DeadlyTransaction:
    """A transaction whose commit is the last thing the process sees, or does not see."""

    def __init__(self, real: RootTransaction, where: str) -> None:
        self._real = real
        self._where = where

    def commit(self) -> None:
        if self._where == "inside":
            die()
        self._real.commit()
        if self._where == "after":
            die()


def arm(job: Asking) -> list[int]:
    """Let the process die at the job's durable step; the list counts the steps."""
    begin, steps = engines.begin, [0]

    def begin_to_die(connection: Any, *, to_write: bool = False) -> Any:
        steps[0] += to_write
        if not to_write or steps[0] != job.step:
            return begin(connection, to_write=to_write)
        if job.where == "before":
            die()
        return DeadlyTransaction(begin(connection, to_write=True), job.where)

    engines.begin = begin_to_die
    return steps


def asking(job: Asking, pipe: Connection) -> None:
    """Answers with the reply, the number of durable steps, and the budget as booked."""

    async def work(rooms: Rooms) -> Any:
        first = min(await rooms.stores.runs.runs(), key=lambda run: run.number)
        rooms = replace(rooms, run=first)
        limits = rooms.limits(messages=20)
        steps = arm(job)
        answer = await rooms.responses(BillingProvider(job)).ask(rooms.call(limits))
        made = steps[0]
        (own,) = [b for b in await rooms.stores.ledger.balances(limits)
                  if b.limit.label == "this run's messages"]  # fmt: skip
        return answer.text, made, own.spent, own.held

    pipe.send(in_rooms(job.folder, work))


@dataclass(frozen=True)
class Stopping:
    """A caller whom the system stops for a while, before or after it marks its request sent."""

    url: str
    meter: Path
    lease_s: float
    where: str


async def _stopping(job: Stopping, pipe: Connection) -> None:
    database = open_database(job.url)
    ledger = SqlLedger(database)
    admission = await ledger.reserve(wish("멈춤", DEAREST, job.lease_s), room(0, 100))
    assert admission.entry is not None
    pipe.send(admission.entry.lease_until)
    if job.where == "before":
        os.kill(os.getpid(), signal.SIGSTOP)
    try:
        await ledger.mark_sent("멈춤", admission.entry.fence)
    except ReservationLost as lost:
        pipe.send(lost.message)
        return
    if job.where == "after":
        os.kill(os.getpid(), signal.SIGSTOP)
    Meter(job.meter).bill("멈춤", 7)
    used = {Unit.TOKENS: 7, Unit.MESSAGES: 1}
    entry = await ledger.settle("멈춤", admission.entry.fence, used)
    await database.close()
    pipe.send(str(entry.state))


def stopping(job: Stopping, pipe: Connection) -> None:
    asyncio.run(_stopping(job, pipe))
