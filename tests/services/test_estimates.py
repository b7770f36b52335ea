"""A call that does not fit is counted, then lowered; if cut off, asked again in full, once."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helios.domain.budget.estimate import counted_bound, input_bound
from helios.domain.budget.ledger import Entry, EntryState, Request
from helios.domain.budget.limit import Balance, Limit
from helios.domain.budget.spend import Spend
from helios.domain.budget.throttle import Throttle
from helios.domain.budget.units import Unit
from helios.domain.ids import RequestId, TaskId
from helios.domain.pricing import Tier
from helios.domain.usage import Usage
from helios.errors import BudgetExhausted, Overloaded, UnknownPrice
from helios.ports.models import Message, ModelReply, ModelRequest
from helios.services.responses import Call
from helios.testing.scripted_model import ScriptedProvider, reply
from tests.services.crashes import Crash, CrashingAt
from tests.services.rooms import Rooms, in_rooms

pytestmark = pytest.mark.slow

MODEL = "claude-sonnet-5-5"
ASKED = 16_000
LEARNED = 4_000
"""Twice the longest of thirty replies."""
DOLLARS_FOR_LOWERED = 0.06
"""Room for 4,000 tokens of output at $10 a million and the input, not for 16,000."""

WHOLE_TOKENS = 9_000
WHOLE = reply("온전한 답", tokens=WHOLE_TOKENS, summary="끝")


async def learn(rooms: Rooms, *, samples: int = 30, agent: str = "coder") -> None:
    for n in range(samples):
        usage = Usage(100, 2_000)
        spend = Spend(f"before/{n}", rooms.clock.now() + n, MODEL, "standard", usage, 1,
                      simulated=True, source="run", agent=agent)  # fmt: skip
        await rooms.stores.budget.save_spend(spend)


def call(rooms: Rooms, attempt: int = 1, *, agent: str = "coder", **budget: Any) -> Call:
    made = rooms.call(rooms.limits(**budget), attempt)
    return replace(made, request=replace(made.request, max_tokens=ASKED), agent=agent)


def cut() -> ModelReply:
    return reply("잘린", tokens=LEARNED, stop_reason="max_tokens", summary="")


async def entry(rooms: Rooms, suffix: str = "", attempt: int = 1) -> Entry | None:
    return await rooms.stores.ledger.entry(RequestId(f"{rooms.run.id}/fix/{attempt}.1{suffix}"))


async def balance(rooms: Rooms, limits: tuple[Limit, ...], unit: Unit) -> Balance:
    balances = await rooms.stores.ledger.balances(limits)
    return next(b for b in balances if b.limit.unit is unit and b.limit.key.startswith("run/"))


def test_a_call_that_fits_is_sent_as_it_is_and_nobody_is_asked_to_count(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        await learn(rooms)
        provider = ScriptedProvider([reply()], counts=50)
        await rooms.responses(provider).ask(call(rooms, cost_usd=1.0))
        assert [request.max_tokens for request in provider.asked] == [ASKED]
        assert provider.counted == []

    in_rooms(tmp_path, work)


def test_counting_comes_before_lowering(tmp_path: Path) -> None:
    """30,000 bytes that are 7,000 tokens: the whole output fits beside what is truly read."""

    async def work(rooms: Rooms) -> None:
        await learn(rooms)
        provider = ScriptedProvider([reply()], counts=7_000)
        wish = call(rooms, cost_usd=0.20)
        long = replace(wish.request, messages=(Message("user", "가" * 10_000),))
        await rooms.responses(provider).ask(replace(wish, request=long))
        assert [request.max_tokens for request in provider.asked] == [ASKED]
        held = await entry(rooms)
        assert held is not None
        cost = next(line for line in held.lines if line.limit_key == f"run/{rooms.run.id}/microusd")
        assert cost.estimate == counted_bound(7_000) * 2.5 + ASKED * 10
        assert input_bound(long.text_bytes) * 2.5 + ASKED * 10 > 200_000

    in_rooms(tmp_path, work)


def test_a_call_that_does_not_fit_asks_for_what_its_agent_needs(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        await learn(rooms)
        provider = ScriptedProvider([reply(tokens=LEARNED)], counts=50)
        wish = call(rooms, cost_usd=DOLLARS_FOR_LOWERED)
        await rooms.responses(provider).ask(wish)
        assert [request.max_tokens for request in provider.asked] == [LEARNED]
        assert replace(provider.asked[0], max_tokens=ASKED) == wish.request
        done = await entry(rooms)
        assert done is not None
        assert all(line.charged <= line.estimate for line in done.lines)
        cost = await balance(rooms, wish.limits, Unit.MICROUSD)
        assert (cost.spent, cost.held, cost.breach) == (50 * 2 + LEARNED * 10, 0, 0)

    in_rooms(tmp_path, work)


@pytest.mark.parametrize(
    ("samples", "agent", "policy"),
    [(19, "coder", True), (30, "reviewer", True), (30, "", True), (30, "coder", False)],
)
def test_nothing_is_lowered_on_little_knowledge_or_against_the_policy(
    tmp_path: Path, samples: int, agent: str, policy: bool
) -> None:
    async def work(rooms: Rooms) -> None:
        await learn(rooms, samples=samples, agent=agent and "coder")
        provider = ScriptedProvider([reply()], counts=50)
        responses = rooms.responses(provider, lower_output=policy)
        wish = call(rooms, agent=agent, cost_usd=DOLLARS_FOR_LOWERED)
        with pytest.raises(BudgetExhausted, match="this run's cost"):
            await responses.ask(wish)
        assert provider.asked == []
        roomy = call(rooms, agent=agent, cost_usd=1.0)
        assert (await responses.least(wish))[0] == (await responses.least(roomy))[0]

    in_rooms(tmp_path, work)


REASONS = {
    "messages": "messages: needs 1",
    "zone": "97% used",
    "brake": "critical",
    "paused": "paused",
}


@pytest.mark.parametrize("why", REASONS)
def test_a_smaller_call_is_no_cure_for_a_zone_a_brake_or_a_count_of_messages(
    tmp_path: Path, why: str
) -> None:
    async def work(rooms: Rooms) -> None:
        await learn(rooms)
        provider = ScriptedProvider([reply(), reply()], counts=50)
        budget = {"messages": 1} if why == "messages" else {"cost_usd": 1.0}
        if why == "messages":
            await rooms.responses(provider).ask(call(rooms, attempt=7, **budget))
        elif why == "zone":
            others = Request("others", Tier.STANDARD, {Unit.MESSAGES: 870}, 9, lease_s=9_999)
            assert (await rooms.stores.ledger.reserve(others, rooms.limits())).granted
        else:
            level = "paused" if why == "paused" else "critical"
            await rooms.stores.budget.set_throttle(Throttle(level, rooms.clock.now()))
            rooms.clock.move(2.0)
        sent = len(provider.asked)
        wish = call(rooms, **budget)
        with pytest.raises(BudgetExhausted, match=REASONS[why]):
            await rooms.while_time_passes(rooms.responses(provider).ask(wish))
        assert provider.counted == []
        assert len(provider.asked) == sent

    in_rooms(tmp_path, work)


@pytest.mark.parametrize("counts", [None, Overloaded("busy", billed="no")])
def test_a_provider_that_does_not_count_is_bounded_by_bytes(tmp_path: Path, counts: Any) -> None:
    async def work(rooms: Rooms) -> None:
        await learn(rooms)
        provider = ScriptedProvider([reply()], counts=counts)
        wish = call(rooms, cost_usd=DOLLARS_FOR_LOWERED)
        await rooms.responses(provider).ask(wish)
        held = await entry(rooms)
        assert held is not None
        cost = next(line for line in held.lines if "microusd" in line.limit_key)
        assert cost.estimate == math.ceil(input_bound(wish.request.text_bytes) * 2.5) + LEARNED * 10

    in_rooms(tmp_path, work)


def test_a_price_nobody_knows_stops_every_estimate(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        provider = ScriptedProvider([reply()], counts=50)
        responses = rooms.responses(provider)
        wish = call(rooms, cost_usd=1.0)
        unknown = replace(wish, request=replace(wish.request, model="모르는-모델"))
        for asking in (responses.ask, responses.least):
            with pytest.raises(UnknownPrice, match="모르는-모델"):
                await asking(unknown)
        assert (provider.asked, provider.counted) == ([], [])

    in_rooms(tmp_path, work)


class Crowded(ScriptedProvider):
    """Somebody's hold is in the way of the whole call until the first one was answered."""

    def __init__(self, rooms: Rooms, limits: tuple[Limit, ...]) -> None:
        super().__init__([], counts=50)
        self._rooms, self._limits = rooms, limits
        self._held: Entry | None = None

    async def crowd(self) -> None:
        others = Request("others", Tier.STANDARD, {Unit.MICROUSD: 900_000}, lease_s=9_999)
        self._held = (await self._rooms.stores.ledger.reserve(others, self._limits)).entry

    async def call(self, request: ModelRequest) -> ModelReply:
        self.asked.append(request)
        if self._held:
            await self._rooms.stores.ledger.release("others", self._held.fence)
            self._held = None
        return cut() if request.max_tokens < ASKED else WHOLE


async def states(rooms: Rooms) -> list[EntryState]:
    entries = [await entry(rooms, f"~{n}" if n else "") for n in range(5)]
    return [found.state for found in entries if found]


def test_what_is_cut_off_is_asked_again_in_full_and_both_are_paid(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        await learn(rooms)
        wish = call(rooms, cost_usd=1.0)
        provider = Crowded(rooms, wish.limits)
        await provider.crowd()
        assert await rooms.responses(provider).ask(wish) == WHOLE
        assert [request.max_tokens for request in provider.asked] == [LEARNED, ASKED]
        assert await states(rooms) == [EntryState.SETTLED, EntryState.SETTLED]
        cost = await balance(rooms, wish.limits, Unit.MICROUSD)
        assert cost.spent == 2 * 50 * 2 + (LEARNED + WHOLE_TOKENS) * 10
        assert await rooms.responses(provider).ask(wish) == WHOLE
        assert len(provider.asked) == 2

    in_rooms(tmp_path, work)


CRASHES = [
    # port, method, which call of it dies, sent in all, (settled, charged at their estimate)
    ("ledger", "reserve", 1, False, 2, (2, 0)),
    ("ledger", "reserve", 3, False, 2, (2, 0)),
    ("ledger", "reserve", 3, True, 2, (2, 0)),
    ("ledger", "reserve", 4, False, 2, (2, 0)),
    ("ledger", "reserve", 4, True, 2, (2, 0)),
    ("ledger", "mark_sent", 1, False, 2, (2, 0)),
    ("ledger", "mark_sent", 1, True, 2, (2, 1)),
    ("ledger", "mark_sent", 2, False, 2, (2, 0)),
    ("ledger", "mark_sent", 2, True, 2, (2, 1)),
    ("runs", "save_call", 1, False, 2, (1, 1)),
    ("runs", "save_call", 1, True, 2, (2, 0)),
    ("runs", "save_call", 2, False, 3, (2, 1)),
    ("runs", "save_call", 2, True, 2, (2, 0)),
    ("ledger", "settle", 1, False, 2, (2, 0)),
    ("ledger", "settle", 1, True, 2, (2, 0)),
    ("ledger", "settle", 2, False, 2, (2, 0)),
    ("ledger", "settle", 2, True, 2, (2, 0)),
]


@pytest.mark.parametrize(("port", "method", "nth", "after", "sent", "charged"), CRASHES)
def test_a_crash_at_any_step_of_both_calls_is_charged_exactly_once(
    tmp_path: Path, port: str, method: str, nth: int, after: bool, sent: int, charged: Any
) -> None:
    async def work(rooms: Rooms) -> None:
        await learn(rooms)
        wish = call(rooms, cost_usd=1.0)
        provider = Crowded(rooms, wish.limits)
        await provider.crowd()
        dying = CrashingAt(getattr(rooms.stores, port), method, after=after, nth=nth)
        with pytest.raises(Crash):
            await rooms.responses(provider, **{port: dying}).ask(wish)
        assert await rooms.responses(provider).ask(wish) == WHOLE
        assert await rooms.responses(provider).ask(wish) == WHOLE
        assert len(provider.asked) == sent
        found = await states(rooms)
        assert all(state.final for state in found)
        counted = found.count(EntryState.SETTLED), found.count(EntryState.CHARGED_ESTIMATE)
        assert counted == charged
        cost = await balance(rooms, wish.limits, Unit.MICROUSD)
        billed = sum(50 * 2 + (LEARNED if r.max_tokens < ASKED else WHOLE_TOKENS) * 10
                     for r in provider.asked)  # fmt: skip
        assert cost.held == 0
        assert billed <= cost.spent <= cost.limit.cap

    in_rooms(tmp_path, work)


def test_a_task_that_was_cut_off_is_never_lowered_again(tmp_path: Path) -> None:
    """Not by asking again, nor in a later attempt: it would be paid twice, time after time."""

    async def work(rooms: Rooms) -> None:
        await learn(rooms)
        provider = ScriptedProvider([cut()], counts=50)
        wish = call(rooms, cost_usd=0.15)
        for attempt in (1, 1, 2):
            with pytest.raises(BudgetExhausted):
                await rooms.responses(provider).ask(replace(wish, attempt=attempt))
        assert len(provider.asked) == 1
        other = replace(wish, task=TaskId("other"))
        responses = rooms.responses(provider)
        (whole, _), (lowered, _) = await responses.least(wish), await responses.least(other)
        assert whole[Unit.TOKENS] - lowered[Unit.TOKENS] == ASKED - 2 * LEARNED

    in_rooms(tmp_path, work)


def test_the_last_message_of_a_task_is_not_risked_on_a_guess(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        await learn(rooms)
        provider = ScriptedProvider([reply()], counts=50)
        with pytest.raises(BudgetExhausted, match="cost"):
            await rooms.responses(provider).ask(
                call(rooms, cost_usd=DOLLARS_FOR_LOWERED, messages=1)
            )
        roomy = call(rooms, cost_usd=DOLLARS_FOR_LOWERED, messages=2)
        await rooms.responses(provider).ask(roomy)
        assert [request.max_tokens for request in provider.asked] == [LEARNED]

    in_rooms(tmp_path, work)


def test_a_reply_that_ends_at_the_callers_own_maximum_is_not_asked_again(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        await learn(rooms)
        full = reply("끝까지", tokens=ASKED, stop_reason="max_tokens")
        provider = ScriptedProvider([full], counts=50)
        wish = call(rooms, cost_usd=1.0)
        assert await rooms.responses(provider).ask(wish) == full
        assert await rooms.responses(provider).ask(wish) == full

    in_rooms(tmp_path, work)


def test_an_hour_in_the_cache_is_settled_at_its_price_also_after_a_crash(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        usage = Usage(10, 20, 500, 3, cache_write_1h_tokens=400)
        provider = ScriptedProvider([replace(reply(), usage=usage)])
        wish = call(rooms, cost_usd=1.0)
        dying = CrashingAt(rooms.stores.ledger, "settle", after=False)
        with pytest.raises(Crash):
            await rooms.responses(provider, ledger=dying).ask(wish)
        assert (await rooms.responses(provider).ask(wish)).usage == usage
        cost = await balance(rooms, wish.limits, Unit.MICROUSD)
        assert cost.spent == 10 * 2 + 20 * 10 + 100 * 2.5 + 400 * 4 + 1  # 0.3 is rounded up

    in_rooms(tmp_path, work)


def test_a_call_is_kept_with_who_asked_and_whose_budget_it_was(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        wish = replace(call(rooms, cost_usd=1.0), account="회사/앱")
        await rooms.responses(ScriptedProvider([reply(tokens=77)])).ask(wish)
        (kept,) = await rooms.stores.runs.calls(rooms.run.id)
        assert (kept.agent, kept.account) == ("coder", "회사/앱")
        lengths = await rooms.stores.budget.output_lengths("coder", MODEL, simulated=True)
        assert lengths == (77,)

    in_rooms(tmp_path, work)
