"""Processes for the tests: each waits for a line on its input before it begins."""

import asyncio
import json
import os
import random
import sys
from pathlib import Path

from helios.domain.budget.ledger import Request
from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever, OpensOnUse
from helios.domain.pricing import Tier
from helios.stores.sql.database import Database, open_database
from helios.stores.sql.ledger import SqlLedger

DEAREST = 10
FOREVER_S = 30 * 86_400.0


def limits() -> list[Limit]:
    """Two that only have to be booked."""
    return [
        Limit("plan/tokens", Unit.TOKENS, 10**9, OpensOnUse(FOREVER_S), "plan", "plan"),
        Limit("plan/messages", Unit.MESSAGES, 10**9, Forever(), "all", "messages"),
    ]


def request(request_id: str, estimate: int) -> Request:
    wanted = {Unit.TOKENS: estimate, Unit.MESSAGES: 1}
    return Request(request_id, Tier.STANDARD, wanted, lease_s=60.0)


async def spend_until_killed(database: Database, name: str, log: str) -> None:
    """Spend for ever; everything sent is first written to a log, as a provider would."""
    ledger, chance = SqlLedger(database), random.Random(name)
    meter = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def call(caller: int) -> None:
        for number in range(10**6):
            estimate = chance.randint(1, DEAREST)
            wish = request(f"{name}.{caller}.{number}:{estimate}", estimate)
            admission = await ledger.reserve(wish, limits())
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
        case "spend", (name, log):
            await spend_until_killed(database, name, str(Path(log)))
        case _:
            raise SystemExit(f"what is {act}?")
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
