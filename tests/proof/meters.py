"""The provider's meter against the books of a room."""

import asyncio
from collections import defaultdict
from pathlib import Path

from helios.stores.sql.database import open_database
from helios.stores.sql.ledger import SqlLedger
from helios.testing.clock import MovableClock
from tests.proof.books import FINAL, Tables
from tests.proof.children import LEASE_S, Meter


def compare(tables: Tables, meter: Path, cap: int) -> int:
    """Every billed call is charged or held, and no room is billed over its cap; what was billed."""
    states = {row["request_id"]: row["state"] for row in tables["ledger_entries"]}
    lines = {
        row["request_id"]: row for row in tables["ledger_lines"] if row["limit_key"][:5] == "room/"
    }
    billed: dict[str, int] = defaultdict(int)
    seen: set[str] = set()
    for request_id, tokens in Meter.read(meter):
        assert request_id not in seen, f"{request_id} was called twice"
        seen.add(request_id)
        state, line = states[request_id], lines[request_id]
        assert state in ("sent", "settled", "charged-estimate"), f"{request_id} is {state}"
        covered = line["charged"] if state in FINAL else line["estimate"]
        assert tokens <= covered, f"{request_id} was billed {tokens}, the books say {covered}"
        billed[line["limit_key"]] += tokens
    for key, tokens in billed.items():
        assert tokens <= cap, f"{key} was billed {tokens} of {cap}"
    return sum(billed.values())


def sweep_after_the_leases(url: str) -> set[str]:
    """What a sweep closes once the leases of all are over."""

    async def sweep() -> set[str]:
        database = open_database(url)
        now = await SqlLedger(database).now()
        closed = await SqlLedger(database, MovableClock(now + LEASE_S + 1)).sweep()
        await database.close()
        return {entry.request_id for entry in closed}

    return asyncio.run(sweep())
