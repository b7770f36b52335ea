"""A model call under every failure: charged exactly once, never sent without a reservation."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from helios.domain.budget.ledger import EntryState
from helios.domain.budget.units import Unit
from helios.domain.ids import RequestId
from helios.errors import (
    BudgetExhausted,
    ConnectionLost,
    ModelError,
    ModelTimeout,
    RateLimited,
    UnknownPrice,
)
from helios.testing.scripted_model import ScriptedProvider, reply
from tests.services.crashes import Crash, CrashingAt
from tests.services.rooms import Rooms, in_rooms

NAME = "{run}/fix/1.1"
CRASHES = [
    # where, calls the provider saw in all, charged entries (settled, charged estimate)
    ("ledger", "reserve", False, 1, 1, 0),
    ("ledger", "reserve", True, 1, 1, 0),
    ("ledger", "mark_sent", False, 1, 1, 0),
    ("ledger", "mark_sent", True, 1, 1, 1),
    ("runs", "save_call", False, 2, 1, 1),
    ("runs", "save_call", True, 1, 1, 0),
    ("ledger", "settle", False, 1, 1, 0),
    ("ledger", "settle", True, 1, 1, 0),
]


@pytest.mark.parametrize(("port", "method", "after", "calls", "settled", "unknown"), CRASHES)
def test_a_crash_at_any_step_is_charged_exactly_once(
    tmp_path: Path, port: str, method: str, after: bool, calls: int, settled: int, unknown: int
) -> None:
    async def work(rooms: Rooms) -> None:
        provider = ScriptedProvider([reply("첫째", fixed="yes"), reply("둘째", fixed="yes")])
        limits = rooms.limits(messages=10)
        inner = getattr(rooms.stores, port)
        dying = rooms.responses(provider, **{port: CrashingAt(inner, method, after=after)})
        with pytest.raises(Crash):
            await dying.ask(rooms.call(limits))
        answer = await rooms.responses(provider).ask(rooms.call(limits))
        again = await rooms.responses(provider).ask(rooms.call(limits))
        assert again == answer
        assert len(provider.asked) == calls
        states = [
            entry.state
            for name in (NAME.format(run=rooms.run.id), NAME.format(run=rooms.run.id) + "~1")
            if (entry := await rooms.stores.ledger.entry(name))
        ]
        assert states.count(EntryState.SETTLED) == settled
        assert states.count(EntryState.CHARGED_ESTIMATE) == unknown
        assert not [state for state in states if not state.final]
        messages = next(b for b in await rooms.stores.ledger.balances(limits)
                        if b.limit.label == "this run's messages")  # fmt: skip
        assert (messages.spent, messages.held) == (settled + unknown, 0)

    in_rooms(tmp_path, work)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (RateLimited("429", billed="no", retry_after_s=3), EntryState.RELEASED),
        (ConnectionLost("refused", billed="no"), EntryState.RELEASED),
        (ModelTimeout("silence", billed="unknown"), EntryState.CHARGED_ESTIMATE),
        (ConnectionLost("cut", billed="unknown"), EntryState.CHARGED_ESTIMATE),
    ],
)
def test_only_what_is_proved_unbilled_is_given_back(
    tmp_path: Path, error: ModelError, state: EntryState
) -> None:
    async def work(rooms: Rooms) -> None:
        limits = rooms.limits(messages=5)
        with pytest.raises(type(error)):
            await rooms.responses(ScriptedProvider([error])).ask(rooms.call(limits))
        entry = await rooms.stores.ledger.entry(NAME.format(run=rooms.run.id))
        assert entry is not None
        assert entry.state is state

    in_rooms(tmp_path, work)


def test_nothing_is_sent_beyond_the_limit(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        provider = ScriptedProvider([reply() for _ in range(10)])
        limits = rooms.limits(messages=3)
        responses = rooms.responses(provider)
        asking = (responses.ask(rooms.call(limits, attempt)) for attempt in range(1, 11))
        outcomes = await rooms.while_time_passes(asyncio.gather(*asking, return_exceptions=True))
        refused = [o for o in outcomes if isinstance(o, BudgetExhausted)]
        assert len(provider.asked) == 3
        assert len(refused) == 7
        assert "this run's messages" in refused[0].message
        assert refused[0].resets_at is None

    in_rooms(tmp_path, work)


def test_a_model_without_a_price_is_never_called(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        from dataclasses import replace

        provider = ScriptedProvider([reply()])
        call = rooms.call(rooms.limits())
        unknown = replace(call, request=replace(call.request, model="nobody-knows"))
        with pytest.raises(UnknownPrice, match="nobody-knows"):
            await rooms.responses(provider).ask(unknown)
        assert provider.asked == []

    in_rooms(tmp_path, work)


def test_a_cancelled_call_is_charged_its_estimate(tmp_path: Path) -> None:
    class Slow(ScriptedProvider):
        async def call(self, request: Any) -> Any:
            begun.set()
            await asyncio.sleep(60)

    begun = asyncio.Event()

    async def work(rooms: Rooms) -> None:
        provider = Slow([])
        asking = asyncio.ensure_future(rooms.responses(provider).ask(rooms.call(rooms.limits())))
        await begun.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        entry = await rooms.stores.ledger.entry(NAME.format(run=rooms.run.id))
        assert entry is not None
        assert entry.state is EntryState.CHARGED_ESTIMATE

    in_rooms(tmp_path, work)


def test_the_cost_is_what_the_prices_say(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        limits = rooms.limits(cost_usd=1.0)
        await rooms.responses(ScriptedProvider([reply(tokens=100)])).ask(rooms.call(limits))
        stored = await rooms.stores.runs.call(RequestId(NAME.format(run=rooms.run.id)))
        assert stored is not None
        # 50 tokens in at $2 and 100 out at $10 a million
        assert stored.cost_microusd == 50 * 2 + 100 * 10
        cost = next(b for b in await rooms.stores.ledger.balances(limits)
                    if b.limit.unit is Unit.MICROUSD)  # fmt: skip
        assert cost.spent == stored.cost_microusd

    in_rooms(tmp_path, work)
