"""Callers whom the system stops past their lease, and clocks that jump by a day."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from helios.domain.budget.ledger import Entry, EntryState
from helios.domain.budget.limit import Limit
from helios.domain.budget.units import Unit
from helios.domain.budget.window import OpensOnUse
from helios.errors import ReservationLost
from helios.stores.sql.database import open_database
from helios.stores.sql.ledger import SqlLedger
from helios.testing.clock import MovableClock
from tests.proof.books import BooksCheck
from tests.proof.children import DEAREST, LEASE_S, Meter, Stopping, stopping, wish
from tests.proof.forks import Forks

DAY_S = 86_400.0
FIVE_HOURS_S = 5 * 3_600.0


def sweep_when_over(url: str, lease_until: float) -> tuple[Entry, ...]:
    """Wait by the database's clock until the lease is over; what a sweep then closes."""

    async def sweep() -> tuple[Entry, ...]:
        database = open_database(url)
        ledger = SqlLedger(database)
        await asyncio.sleep(lease_until - await ledger.now())
        while await ledger.now() < lease_until:
            pass
        closed = await ledger.sweep()
        await database.close()
        return closed

    return asyncio.run(sweep())


def wait_until_over(url: str, lease_until: float) -> None:
    while time.time() <= lease_until:  # noqa: TID251 - the very clock that SQLite reads
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("over", [sweep_when_over, wait_until_over])
def test_who_wakes_up_after_the_lease_does_not_send(
    sqlite_store_url: str,
    forks: Forks,
    tmp_path: Path,
    books_check: Callable[[str], BooksCheck],
    over: Callable[[str, float], object],
) -> None:
    meter = tmp_path / "meter"
    child = forks.start(stopping, Stopping(sqlite_store_url, meter, 0.5, "before"))
    lease_until = child.hear()
    child.wait_until_stopped()
    over(sqlite_store_url, lease_until)
    child.go_on()
    said = child.hear()
    assert "lease" in said or "released" in said
    assert Meter.read(meter) == []
    sweep_when_over(sqlite_store_url, lease_until)
    (entry,) = books_check(sqlite_store_url).check()["ledger_entries"]
    assert entry["state"] == "released"


@pytest.mark.slow
def test_who_wakes_up_within_the_lease_sends(
    sqlite_store_url: str, forks: Forks, tmp_path: Path
) -> None:
    """The control: the stop itself does no harm."""
    meter = tmp_path / "meter"
    child = forks.start(stopping, Stopping(sqlite_store_url, meter, LEASE_S, "before"))
    child.hear()
    child.wait_until_stopped()
    child.go_on()
    assert child.hear() == "settled"
    assert Meter.read(meter) == [("멈춤", 7)]


@pytest.mark.slow
def test_who_is_stopped_after_the_mark_is_charged_first(
    sqlite_store_url: str,
    forks: Forks,
    tmp_path: Path,
    books_check: Callable[[str], BooksCheck],
) -> None:
    """Nobody can keep it from sending any more; the ledger has charged all it may cost."""
    meter = tmp_path / "meter"
    child = forks.start(stopping, Stopping(sqlite_store_url, meter, 0.5, "after"))
    lease_until = child.hear()
    child.wait_until_stopped()
    (charged,) = sweep_when_over(sqlite_store_url, lease_until)
    assert charged.state is EntryState.CHARGED_ESTIMATE
    assert {line.charged for line in charged.lines} == {1, DEAREST}
    child.go_on()
    assert child.hear() == "settled", "late evidence brings the charge down"
    tables = books_check(sqlite_store_url).check()
    assert [b["spent"] for b in tables["ledger_balances"] if b["unit"] == "tokens"] == [7]
    assert Meter.read(meter) == [("멈춤", 7)]


def test_a_clock_that_jumps_by_a_day_makes_no_room(store_url: str) -> None:
    """A day forward opens one new window; going back opens none and revives nothing."""
    limit = Limit("plan", Unit.TOKENS, 100, OpensOnUse(FIVE_HOURS_S), "plan", "plan")

    async def spend_all(ledger: SqlLedger, name: str) -> int:
        spent = 0
        for number in range(30):
            request_id = f"{name}-{number}"
            admission = await ledger.reserve(wish(request_id, 10), [limit])
            if not admission.entry:
                return spent
            await ledger.mark_sent(request_id, admission.entry.fence)
            await ledger.settle(request_id, admission.entry.fence, {Unit.TOKENS: 10})
            spent += 10
        raise AssertionError("there is no end to the budget")

    async def work() -> None:
        clock, database = MovableClock(), open_database(store_url)
        ledger = SqlLedger(database, clock)
        held = (await ledger.reserve(wish("잡음", 10), [limit])).entry
        assert held is not None
        assert await spend_all(ledger, "오늘") == 90
        clock.move(DAY_S)
        assert await spend_all(ledger, "내일") == 100
        for jump in (-DAY_S, -DAY_S, DAY_S):
            clock.move(jump)
            assert await spend_all(ledger, f"{clock.now()}") == 0
            with pytest.raises(ReservationLost):
                await ledger.mark_sent("잡음", held.fence)
        assert len(await ledger.history("plan")) == 2
        assert [b.spent + b.held for b in await ledger.history("plan")] == [100, 90]
        await database.close()

    asyncio.run(work())
