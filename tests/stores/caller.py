"""Processes for the tests: each waits for a line on its input before it begins."""

import asyncio
import json
import os
import random
import sys
from pathlib import Path

from sqlalchemy import text

from helios.domain.budget.ledger import Admission, Request
from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever, OpensOnUse
from helios.domain.pricing import Tier
from helios.stores.sql.database import Database, open_database
from helios.stores.sql.ledger import SqlLedger

CALLERS = 25
DEAREST = 10
FOREVER_S = 30 * 86_400.0


def limits(cap: int) -> list[Limit]:
    """A tight limit, and one that only has to be booked."""
    return [
        Limit("plan/tokens", Unit.TOKENS, cap, OpensOnUse(FOREVER_S), "plan", "plan"),
        Limit("plan/messages", Unit.MESSAGES, 10**9, Forever(), "all", "messages"),
    ]


def request(request_id: str, estimate: int) -> Request:
    wanted = {Unit.TOKENS: estimate, Unit.MESSAGES: 1}
    return Request(request_id, Tier.STANDARD, wanted, lease_s=60.0)


async def reserve_patiently(ledger: SqlLedger, wish: Request, cap: int) -> Admission:
    """Wait while the room is only held."""
    while True:
        admission = await ledger.reserve(wish, limits(cap))
        if admission.granted or not admission.waits:
            return admission
        await asyncio.sleep(0.02)


async def spend(database: Database, name: str, cap: int) -> int:
    """Many callers who spend until nothing fits; what the provider billed."""
    ledger, chance, billed = SqlLedger(database), random.Random(name), 0

    async def call(caller: int) -> None:
        nonlocal billed
        for number in range(10**6):
            estimate = chance.randint(1, DEAREST)
            wish = request(f"{name}.{caller}.{number}:{estimate}", estimate)
            admission = await reserve_patiently(ledger, wish, cap)
            if admission.entry is None:
                return
            await ledger.mark_sent(wish.request_id, admission.entry.fence)
            actual = chance.randint(1, estimate)
            billed += actual
            used = {Unit.TOKENS: actual, Unit.MESSAGES: 1}
            await ledger.settle(wish.request_id, admission.entry.fence, used)

    await asyncio.gather(*(call(caller) for caller in range(CALLERS)))
    return billed


async def spend_naively(database: Database, name: str, cap: int) -> int:
    """The way that fails: look at the counter, call, add the cost."""
    chance, billed = random.Random(name), 0
    look, add = text("SELECT spent FROM naive"), text("UPDATE naive SET spent = spent + :cost")

    async def call() -> None:
        nonlocal billed
        while True:
            cost = chance.randint(1, DEAREST)
            spent = await database.read(lambda connection: connection.execute(look).scalar_one())
            if spent + cost > cap:
                return
            billed += cost
            await asyncio.sleep(0.002)
            await database.write(
                lambda connection, paid=cost: connection.execute(add, {"cost": paid}).close()
            )

    await asyncio.gather(*(call() for _ in range(CALLERS)))
    return billed


async def spend_until_killed(database: Database, name: str, log: str) -> None:
    """Spend for ever; everything sent is first written to a log, as a provider would."""
    ledger, chance = SqlLedger(database), random.Random(name)
    meter = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def call(caller: int) -> None:
        for number in range(10**6):
            estimate = chance.randint(1, DEAREST)
            wish = request(f"{name}.{caller}.{number}:{estimate}", estimate)
            admission = await ledger.reserve(wish, limits(10**9))
            assert admission.entry is not None
            await ledger.mark_sent(wish.request_id, admission.entry.fence)
            actual = chance.randint(1, estimate)
            os.write(meter, f"{wish.request_id} {actual}\n".encode())
            await asyncio.sleep(0.001)
            used = {Unit.TOKENS: actual, Unit.MESSAGES: 1}
            await ledger.settle(wish.request_id, admission.entry.fence, used)
            if number == 0 and caller == 0:
                print("spending", flush=True)

    await asyncio.gather(*(call(caller) for caller in range(5)))


async def main(act: str, url: str, *arguments: str) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    database = open_database(url)
    match act, arguments:
        case "open", ():
            print(json.dumps("open"))
        case "spend", (name, cap):
            print(json.dumps(await spend(database, name, int(cap))))
        case "spend-naively", (name, cap):
            print(json.dumps(await spend_naively(database, name, int(cap))))
        case "spend-until-killed", (name, log):
            await spend_until_killed(database, name, str(Path(log)))
        case _:
            raise SystemExit(f"what is {act}?")
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
