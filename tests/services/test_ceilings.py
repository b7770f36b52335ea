"""Accounts in a tree, the part that is kept for people, points, and the brake: on a real store."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from helios.domain.budget.account import LimitRule
from helios.domain.budget.ledger import Request
from helios.domain.budget.throttle import Level, Throttle
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Calendar, Forever
from helios.domain.pricing import Tier
from helios.domain.workflow.spec import BudgetSpec
from helios.errors import BudgetExhausted
from helios.services.ceilings import Ceilings
from helios.services.governor import Governor
from helios.services.plans import load_plan
from tests.services.rooms import Rooms, in_rooms

ONE = {Unit.MESSAGES: 1, Unit.MICROUSD: 1_000_000}


async def ask(
    rooms: Rooms, name: str, account: str = "", tier: Tier = Tier.STANDARD, priority: int = 5
) -> None:
    await rooms.governor.refresh(now=True)
    limits = rooms.governor.run_limits(rooms.run.id, BudgetSpec(account=account))
    request = Request(name, tier, ONE, priority=priority)
    await rooms.governor.request(request, limits, wait_s=0.0)


def test_everybody_above_binds_and_siblings_do_not(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        book = rooms.stores.budget
        await book.put_limit_rule(LimitRule("acme", "cap", Unit.MESSAGES, 3, Forever()))
        await book.put_limit_rule(LimitRule("acme/웹", "cap", Unit.MESSAGES, 1, Calendar("day")))
        await ask(rooms, "1", "acme/웹")
        with pytest.raises(BudgetExhausted, match="cap of acme/웹"):
            await ask(rooms, "2", "acme/웹")
        await ask(rooms, "3", "acme/app")
        await ask(rooms, "4", "acme")
        with pytest.raises(BudgetExhausted, match="cap of acme: "):
            await ask(rooms, "5", "acme/app")
        await ask(rooms, "6", "other")

    in_rooms(tmp_path, work)


def test_a_ceiling_that_is_taken_away_binds_no_more(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        rule = LimitRule("", "cap", Unit.MICROUSD, 1_000_000, Forever())
        await rooms.stores.budget.put_limit_rule(rule)
        await ask(rooms, "1")
        with pytest.raises(BudgetExhausted, match="cap of everybody"):
            await ask(rooms, "2")
        await rooms.stores.budget.put_limit_rule(replace(rule, cap=2_000_000))
        await ask(rooms, "2")
        assert await rooms.stores.budget.remove_limit_rule("", "cap")
        await ask(rooms, "3")

    in_rooms(tmp_path, work)


@pytest.mark.parametrize(
    ("level", "passing"),
    [
        ("throttle", {(Tier.STANDARD, 1), (Tier.STANDARD, 8), (Tier.STRONG, 8)}),
        ("critical", {(Tier.STANDARD, 8), (Tier.STRONG, 8)}),
        ("paused", set()),
    ],
)
def test_the_brake_holds_until_its_time(
    tmp_path: Path, level: Level, passing: set[tuple[Tier, int]]
) -> None:
    cures: set[str] = set()
    wishes = [(tier, priority) for tier in (Tier.STANDARD, Tier.STRONG) for priority in (1, 8)]

    async def passed(rooms: Rooms, name: str) -> set[tuple[Tier, int]]:
        through = set()
        for tier, priority in wishes:
            try:
                await ask(rooms, f"{name}-{tier}-{priority}", tier=tier, priority=priority)
            except BudgetExhausted as refused:
                cures.add(refused.next_step)
            else:
                through.add((tier, priority))
        return through

    async def work(rooms: Rooms) -> None:
        now = rooms.clock.now()
        brake = Throttle(level, now, now + 600, "배포 중", "지훈")
        await rooms.stores.budget.set_throttle(brake)
        assert await passed(rooms, "on") == passing
        status = await rooms.governor.status()
        assert cures == {"`helios budget throttle off` takes the brake off."}
        assert status.brake == brake
        assert status.zone == brake.floor
        rooms.clock.move(600)
        assert await passed(rooms, "over") == set(wishes)
        assert (await rooms.governor.status()).brake is None

    in_rooms(tmp_path, work)


def test_agents_leave_a_part_of_the_window_to_people(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        plan = load_plan("max-classic", messages=10)
        ceilings = Ceilings(plan, 0.2)
        governor = Governor(rooms.stores.ledger, ceilings, rooms.clock, rooms.stores.budget)
        for number in range(8):
            wish = Request(f"agent-{number}", Tier.STANDARD, ONE, priority=9)
            assert (await governor.reserve(wish, ceilings.of_account())).granted
        ninth = Request("agent-9", Tier.STANDARD, ONE, priority=9)
        refused = await governor.reserve(ninth, ceilings.of_account())
        assert not refused.granted
        assert refused.reason.startswith("agents' part of the five-hour window")
        mine = Request("mine", Tier.STANDARD, ONE, priority=9)
        assert (await governor.reserve(mine, ceilings.of_account(for_person=True))).granted

    in_rooms(tmp_path, work)


def test_points_are_counted_from_money(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        governor = rooms.governor
        limits = governor.ceilings.of_plan
        dollar = Request("one", Tier.STANDARD, ONE)
        entry = (await governor.reserve(dollar, limits)).entry
        assert entry is not None
        weekly = next(g for g in (await governor.status(limits)).gauges if "weekly" in g.key)
        # A full five-hour window is worth 18 dollars: one dollar is 5.556 points, rounded up.
        assert (weekly.unit, weekly.held) == (Unit.MILLIPOINTS, 5556)
        await rooms.stores.ledger.mark_sent("one", entry.fence)
        await governor.settle("one", entry.fence, {Unit.MESSAGES: 1, Unit.MICROUSD: 90_000})
        weekly = next(g for g in (await governor.status(limits)).gauges if "weekly" in g.key)
        assert (weekly.spent, weekly.held) == (500, 0)

    in_rooms(tmp_path, work, plan="max-5x")


def test_simulated_books_are_apart(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        rule = LimitRule("acme", "cap", Unit.MESSAGES, 1, Forever())
        await rooms.stores.budget.put_limit_rule(rule)
        stores, clock = rooms.stores, rooms.clock
        for simulated in (True, False):
            ceilings = Ceilings(load_plan("max-classic"), simulated=simulated)
            governor = Governor(stores.ledger, ceilings, clock, stores.budget)
            await governor.refresh(now=True)
            wish = Request(f"r-{simulated}", Tier.STANDARD, ONE)
            assert (await governor.reserve(wish, ceilings.of_account("acme"))).granted

    in_rooms(tmp_path, work)


def test_a_run_waits_for_a_pause_that_ends(tmp_path: Path) -> None:
    """What the dispatcher asks says until when."""

    async def work(rooms: Rooms) -> None:
        until = rooms.clock.now() + 60
        await rooms.stores.budget.set_throttle(Throttle("paused", rooms.clock.now(), until))
        await rooms.governor.refresh(now=True)
        answer = await rooms.governor.fits(ONE, Tier.STANDARD, 5, rooms.limits())
        assert (answer.granted, answer.resets_at) == (False, until)
        await asyncio.sleep(0)

    in_rooms(tmp_path, work)


@pytest.mark.parametrize(
    ("budget", "key", "cap"),
    [
        (BudgetSpec(cost_usd=2.0, strong_share=0.25), "strong-microusd", 500_000),
        (BudgetSpec(cost_usd=2.0, strong_share=0.0), "strong-microusd", 0),
        (BudgetSpec(messages=40, cost_usd=2.0, strong_share=0.25), "strong-messages", 10),
    ],
)
def test_the_strong_share_is_of_messages_or_else_of_dollars(
    tmp_path: Path, budget: BudgetSpec, key: str, cap: int
) -> None:
    async def work(rooms: Rooms) -> None:
        limits = rooms.governor.run_limits(rooms.run.id, budget)
        (strong,) = (limit for limit in limits if limit.key == f"run/{rooms.run.id}/{key}")
        assert strong.cap == cap
        ask = {Unit.MESSAGES: 11, Unit.MICROUSD: 600_000}
        await rooms.governor.request(Request("1", Tier.STANDARD, ask), limits, wait_s=0.0)
        with pytest.raises(BudgetExhausted, match="strong share of this run"):
            await rooms.governor.request(Request("2", Tier.STRONG, ask), limits, wait_s=0.0)

    in_rooms(tmp_path, work)
