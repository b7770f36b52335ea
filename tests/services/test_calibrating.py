"""The provider's figures reach the limits: seen in the gauge, held to in admission."""

from pathlib import Path

from helios.domain.budget.ledger import Request
from helios.domain.budget.signal import Signal
from helios.domain.budget.spend import Spend
from helios.domain.budget.units import Unit
from helios.domain.pricing import Tier
from helios.domain.usage import Usage
from helios.services.calibrating import Calibrator
from helios.services.ceilings import Ceilings
from helios.services.forecasting import Forecaster
from helios.services.governor import Governor
from helios.services.plans import load_plan
from tests.services.rooms import Rooms, in_rooms

WINDOW_S = 5 * 3600.0
RESETS_AT = 1_800_000_000.0 + WINDOW_S


def governor(rooms: Rooms, *, plan_only: bool = True) -> Governor:
    plan, stores = load_plan("max-classic", messages=100), rooms.stores
    calibrator = Calibrator(plan, stores.ledger, stores.budget, plan_only=plan_only)
    return Governor(stores.ledger, Ceilings(plan), rooms.clock, stores.budget, calibrator)


async def tell(rooms: Rooms, used: float, *, overage: bool = False) -> None:
    at = rooms.clock.now()
    resets_at = RESETS_AT
    signal = Signal("five_hour", used, at, "headers", resets_at, overage=overage)
    await rooms.stores.budget.save_signal(signal)


async def spend(rooms: Rooms, governed: Governor, messages: int) -> None:
    """Spend so many messages through Helios, a minute each."""
    for _ in range(messages):
        name = f"r{rooms.clock.now()}"
        wish = Request(name, Tier.STANDARD, {Unit.MESSAGES: 1}, priority=9)
        admission = await governed.request(wish, governed.ceilings.of_account(), wait_s=0.0)
        assert admission.entry is not None
        await rooms.stores.ledger.mark_sent(name, admission.entry.fence)
        await governed.settle(name, admission.entry.fence, {Unit.MESSAGES: 1})
        usage, at = Usage(10, 5), rooms.clock.now()
        spent = Spend(name, at, "m", "standard", usage, 100, simulated=False, source="run")
        await rooms.stores.budget.save_spend(spent)
        rooms.clock.move(60.0)


def test_what_others_use_of_the_window_is_not_promised_to_agents(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        governed = governor(rooms)
        await spend(rooms, governed, 10)
        # Ten of a hundred through Helios, and the provider says that 70 % are gone.
        await tell(rooms, 0.70)
        await governed.refresh(now=True)
        gauge = (await governed.status()).gauges[0]
        assert gauge.provider is not None
        assert (gauge.provider.used, gauge.provider.source) == (0.70, "headers")
        assert "70%" in gauge.provider.conclusion
        assert 10 <= gauge.cap <= 40
        left = gauge.cap - gauge.spent
        await spend(rooms, governed, left)
        wish = Request("more", Tier.STANDARD, {Unit.MESSAGES: 1}, priority=10)
        refused = await governed.reserve(wish, governed.ceilings.of_account())
        assert not refused.granted
        assert "five-hour window" in refused.reason

    in_rooms(tmp_path, work)


def test_who_is_at_42_percent_through_others_goes_on_with_the_rest(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        governed = governor(rooms)
        rooms.clock.move(90.0)
        await spend(rooms, governed, 3)
        await tell(rooms, 0.42)
        await governed.refresh(now=True)
        assert (await governed.status()).gauges[0].cap == 3 + 58
        await spend(rooms, governed, 20)
        await tell(rooms, 1.0)
        await governed.refresh(now=True)
        wish = Request("more", Tier.STANDARD, {Unit.MESSAGES: 1}, priority=10)
        refused = await governed.reserve(wish, governed.ceilings.of_account())
        assert not refused.granted
        assert "the provider shows 100%: the window is closed until it resets" in refused.reason
        # Helios's own window began later than the provider's.
        assert refused.resets_at == RESETS_AT

    in_rooms(tmp_path, work)


def test_a_person_at_work_beside_a_few_calls_makes_no_small_window(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        governed = governor(rooms)
        for sixth in range(1, 13):
            await spend(rooms, governed, 1)
            await tell(rooms, sixth * 0.06)
        await governed.refresh(now=True)
        assert (await governed.status()).gauges[0].cap == 12 + 28

    in_rooms(tmp_path, work)


def test_what_helios_spent_before_the_provider_s_window_opened_is_not_held_against_it(
    tmp_path: Path,
) -> None:
    async def work(rooms: Rooms) -> None:
        governed = governor(rooms)
        await spend(rooms, governed, 30)
        # The provider's window opens now, in the midst of Helios's own.
        rooms.clock.move(60.0)
        at = rooms.clock.now()
        resets_at = at - 60.0 + WINDOW_S
        await rooms.stores.budget.save_signal(Signal("five_hour", 0.5, at, "headers", resets_at))
        await governed.refresh(now=True)
        assert (await governed.status()).gauges[0].cap == 30 + 50

    in_rooms(tmp_path, work)


def test_without_a_word_of_the_provider_the_plan_stands(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        governed = governor(rooms)
        await spend(rooms, governed, 3)
        gauge = (await governed.status()).gauges[0]
        assert (gauge.cap, gauge.provider) == (100, None)

    in_rooms(tmp_path, work)


def test_paid_overage_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        await tell(rooms, 1.02, overage=True)
        for plan_only in (True, False):
            governed = governor(rooms, plan_only=plan_only)
            await governed.refresh(now=True)
            wish = Request(f"r-{plan_only}", Tier.STANDARD, {Unit.MESSAGES: 1})
            answer = await governed.reserve(wish, governed.ceilings.of_account())
            assert answer.granted is not plan_only

    in_rooms(tmp_path, work)


def test_a_forecast_follows_what_was_spent(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        governed = governor(rooms)
        ahead = Forecaster(governed, rooms.stores.budget, simulated=False)
        (nothing,) = await ahead.windows()
        assert nothing.forecast is None
        await spend(rooms, governed, 45)
        (outlook,) = await ahead.windows()
        # One a minute fills a hundred long before five hours are over.
        assert outlook.forecast is not None
        assert outlook.forecast.exhausted.chance > 0.9
        assert outlook.forecast.exhausted.p50 is not None
        minutes = (outlook.forecast.exhausted.p50 - rooms.clock.now()) / 60
        assert 30 < minutes < 110
        simulated = Forecaster(governed, rooms.stores.budget, simulated=True)
        assert (await simulated.windows())[0].forecast is None

    in_rooms(tmp_path, work)
