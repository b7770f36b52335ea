"""The governor's answers: reasons, zones, waiting while room is only held."""

import asyncio
import itertools
from pathlib import Path

import pytest

from helios.domain.budget.ledger import Request
from helios.domain.budget.units import Unit
from helios.domain.budget.zones import Health, Zone
from helios.domain.pricing import Tier
from helios.errors import BudgetExhausted, UsageError
from helios.services.plans import load_plan, plan_names
from tests.services.rooms import Rooms, in_rooms

ONE = {Unit.MESSAGES: 1}
NUMBERS = itertools.count()


async def spend(rooms: Rooms, count: int, tier: Tier = Tier.STANDARD, priority: int = 10) -> None:
    limits = rooms.governor.ceilings.of_plan
    for _ in range(count):
        name = f"spent-{next(NUMBERS)}"
        wish = Request(name, tier, ONE, priority=priority)
        entry = (await rooms.governor.request(wish, limits, wait_s=0)).entry
        assert entry is not None
        await rooms.stores.ledger.mark_sent(name, entry.fence)
        await rooms.stores.ledger.settle(name, entry.fence, ONE)


def test_the_classic_plan_throttles_as_it_fills(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        limits = rooms.governor.ceilings.of_plan
        await spend(rooms, 720)
        status = await rooms.governor.status()
        assert status.zone is Zone.THROTTLE
        assert status.gauges[0].health is Health.YELLOW
        strong = await rooms.governor.fits(ONE, Tier.STRONG, 5, limits)
        assert not strong.granted
        assert "requests for strong models wait" in strong.reason
        assert (await rooms.governor.fits(ONE, Tier.STANDARD, 5, limits)).granted
        await spend(rooms, 136)
        cheap = await rooms.governor.fits(ONE, Tier.STANDARD, 5, limits)
        assert not cheap.granted
        assert "only priority 8 and higher" in cheap.reason
        assert (await rooms.governor.fits(ONE, Tier.STANDARD, 8, limits)).granted
        rooms.clock.move(5 * 3600 + 1)
        assert (await rooms.governor.fits(ONE, Tier.STRONG, 1, limits)).granted
        assert len(await rooms.governor.history(limits[0].key)) == 1

    in_rooms(tmp_path, work)


def test_the_strong_models_get_half_of_the_window(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        await spend(rooms, 450, Tier.STRONG)
        with pytest.raises(BudgetExhausted, match="strong share of the five-hour") as refused:
            await spend(rooms, 1, Tier.STRONG)
        assert refused.value.resets_at == rooms.clock.now() + 5 * 3600
        await spend(rooms, 1, Tier.STANDARD)

    in_rooms(tmp_path, work)


def test_a_request_waits_while_room_is_only_held(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        limits = rooms.limits(messages=1)
        first = (await rooms.governor.request(Request("a", Tier.STANDARD, ONE), limits)).entry
        assert first is not None
        waiting = asyncio.ensure_future(
            rooms.governor.request(Request("b", Tier.STANDARD, ONE), limits, wait_s=60)
        )
        for _ in range(20):
            await asyncio.sleep(0.005)
            rooms.clock.move(0.1)
        assert not waiting.done()
        await rooms.stores.ledger.release("a", first.fence)
        assert (await rooms.while_time_passes(waiting)).granted

    in_rooms(tmp_path, work)


def test_every_packaged_plan_loads_and_a_wrong_name_lists_them() -> None:
    for name in plan_names():
        assert load_plan(name).windows
    assert load_plan("max-classic", messages=100).windows[0].cap == 100
    with pytest.raises(UsageError) as refused:
        load_plan("max-20")
    assert "max-classic" in refused.value.next_step
