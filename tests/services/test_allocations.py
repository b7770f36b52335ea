"""Budget for calls that others make: granted by zone, booked when reported, never twice."""

from dataclasses import replace
from pathlib import Path

import pytest

from helios.domain.budget.ledger import EntryState
from helios.domain.budget.zones import Zone
from helios.domain.pricing import Tier
from helios.domain.usage import Usage
from helios.errors import ReservationLost, UnknownPrice
from helios.services.allocations import Allocator, Report, Wish
from helios.services.spending import Spending
from tests.services.rooms import Rooms, in_rooms

USED = Usage(input_tokens=1_000, output_tokens=500)


def allocator(rooms: Rooms) -> Allocator:
    return Allocator(
        governor=rooms.governor,
        ledger=rooms.stores.ledger,
        book=rooms.stores.budget,
        catalogue=rooms.router.catalogue,
        clock=rooms.clock,
        simulated=True,
    )


def spending(rooms: Rooms) -> Spending:
    book, catalogue = rooms.stores.budget, rooms.router.catalogue
    return Spending(rooms.governor, book, catalogue, simulated=True)


async def fill(rooms: Rooms, messages: int) -> None:
    """Spend so many messages of the window."""
    granted = await allocator(rooms).request(Wish(f"fill-{messages}", 10, messages))
    assert granted.allocated, granted.reason
    report = Report(granted.request_id, granted.model or "", USED, messages)
    await allocator(rooms).record(report)


def test_a_preference_is_met_by_name_part_or_tier(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        for wished in ("opus", "strong", "claude-opus-5-5"):
            granted = await allocator(rooms).request(Wish(f"r-{wished}", preferred_model=wished))
            assert granted.model == "claude-opus-5-5", granted.reason
        free = await allocator(rooms).request(Wish("free"))
        assert rooms.router.catalogue.model(free.model or "").tier is Tier.STANDARD
        for unknown in ("gpt-9", "a", "5", "claude", "opus"):
            with pytest.raises(UnknownPrice):
                await allocator(rooms).record(Report("r", unknown, USED))
        with pytest.raises(UnknownPrice):
            await allocator(rooms).request(Wish("r", preferred_model="gpt-9"))

    in_rooms(tmp_path, work)


def test_a_fuller_window_gives_a_cheaper_model_and_says_so(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        await fill(rooms, 730)
        cheaper = await allocator(rooms).request(Wish("a", preferred_model="opus"))
        assert cheaper.allocated
        assert cheaper.zone is Zone.THROTTLE
        assert rooms.router.catalogue.model(cheaper.model or "").tier is Tier.STANDARD
        required = await allocator(rooms).request(Wish("b", requires_strong=True))
        assert not required.allocated
        assert required.queued
        assert "wait" in required.reason
        urgent = await allocator(rooms).request(Wish("c", 9, requires_strong=True))
        assert urgent.allocated

    in_rooms(tmp_path, work)


def test_above_95_percent_only_the_urgent_pass(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        await fill(rooms, 860)
        refused = await allocator(rooms).request(Wish("a", priority=7))
        assert (refused.allocated, refused.zone) == (False, Zone.CRITICAL)
        assert refused.resets_at == rooms.clock.now() + 5 * 3600
        assert (await allocator(rooms).request(Wish("b", priority=8))).allocated

    in_rooms(tmp_path, work)


def test_a_full_strong_share_falls_back_with_the_reason(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        granted = await allocator(rooms).request(Wish("all", 9, 450, "opus"))
        assert granted.allocated
        instead = await allocator(rooms).request(Wish("more", preferred_model="opus"))
        assert instead.allocated
        assert "instead of claude-opus-5-5" in instead.reason
        assert "strong share" in instead.reason

    in_rooms(tmp_path, work)


def test_asking_and_reporting_again_change_nothing(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        desk = allocator(rooms)
        first = await desk.request(Wish("same", preferred_model="opus"))
        assert replace(await desk.request(Wish("same")), reason="") == replace(first, reason="")
        report = Report("same", first.model or "", USED, project="쇼핑몰")
        for _ in range(3):
            await desk.record(report)
        metrics = await spending(rooms).metrics()
        assert (metrics.messages, metrics.window.spent, metrics.window.held) == (1, 1, 0)
        assert metrics.strong_share == 1.0
        (total,) = await spending(rooms).by("project", 0, 2e9)
        assert (total.name, total.usage) == ("쇼핑몰", USED)

    in_rooms(tmp_path, work)


def test_what_nobody_reports_is_charged_and_what_was_not_sent_is_given_back(
    tmp_path: Path,
) -> None:
    async def work(rooms: Rooms) -> None:
        desk, ledger = allocator(rooms), rooms.stores.ledger
        silent = await desk.request(Wish("silent", lease_s=60))
        unused = await desk.request(Wish("unused", lease_s=60))
        assert (await desk.release("unused", unused.fence)).state is EntryState.RELEASED
        rooms.clock.move(61)
        assert [entry.request_id for entry in await ledger.sweep()] == [silent.request_id]
        gauge = (await rooms.governor.status()).gauges[0]
        assert (gauge.spent, gauge.held) == (1, 0)
        with pytest.raises(ReservationLost):
            await desk.release("silent", silent.fence)

    in_rooms(tmp_path, work)


def test_usage_nobody_asked_for_is_booked_in_full(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        await fill(rooms, 890)
        for _ in range(2):
            await allocator(rooms).record(Report("late", "strong", USED, messages=30))
        (window, *_) = await rooms.governor.history(rooms.governor.ceilings.of_plan[0].key)
        assert (window.spent, window.breach) == (920, 20)
        assert not (await allocator(rooms).request(Wish("next", 10))).allocated

    in_rooms(tmp_path, work)


def test_the_saving_is_against_the_strong_model(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        desk = allocator(rooms)
        await desk.record(Report("a", "strong", USED))
        assert (await spending(rooms).metrics()).cost_efficiency == 0.0
        await desk.record(Report("b", "standard", USED))
        half = (await spending(rooms).metrics()).cost_efficiency
        # Sonnet's prices are half of Opus's, so half of half the tokens is saved.
        assert half == pytest.approx(0.25, abs=0.01)

    in_rooms(tmp_path, work)
