"""What was spent: stored once, summed in every way, calls of runs among it."""

import asyncio
from dataclasses import replace

from helios.domain.budget.spend import Spend, SpendBy, SpendSample
from helios.domain.ids import ProjectId, TaskId
from helios.domain.usage import Usage
from helios.errors import ConflictError, UsageError
from helios.ports.budget import BudgetBook
from helios.ports.runs import CallRecord
from helios.testing.conformance.budget_basics import (
    EVER,
    HOUR_S,
    NOON,
    BookSuite,
    spend_of,
    total_of,
)
from helios.testing.conformance.runs import PLAN, PROJECT, call_of, new_run
from helios.testing.conformance.suite import refused

BY: tuple[SpendBy, ...] = ("model", "project", "agent", "task", "account", "tier")
MINUTE = 60.0


class SpendingChecks(BookSuite):
    """Promises 2 to 5 where they are about spending."""

    async def check_2_a_request_spends_once(self) -> None:
        """The first word counts, also after opening again."""
        spend = spend_of(3)
        async with self._open() as (book, _):
            await book.save_spend(spend)
        async with self._open() as (book, _):
            await book.save_spend(spend)
            await book.save_spend(replace(spend, cost_microusd=10**6, at=NOON, model="other"))
            totals = await book.totals("model", *EVER, simulated=False)
            assert totals == (total_of(spend.model, [spend]),)

    async def check_2_a_call_of_a_run_spends_once(self) -> None:
        """Keeping a call books it, repeated or not; the call keeps whose it was."""
        async with self._open() as (book, runs):
            run = (await runs.create_run(new_run())).id
            call = replace(call_of(run), agent="개발자", account="회사/모바일")
            for _ in range(2):
                await runs.save_call(call)
            assert await runs.call(call.request) == call
        async with self._open() as (book, runs):
            await runs.save_call(replace(call, cost_microusd=1))
            booked = _booked(call)
            await book.save_spend(replace(booked, source="gateway", messages=9))
            for by in BY:
                totals = await book.totals(by, *EVER, simulated=True)
                assert totals == (total_of(getattr(booked, by), [booked]),)
            at = call.finished_at
            assert await book.totals("model", 0.0, at, simulated=True) == ()
            assert len(await book.totals("model", at, at + 1, simulated=True)) == 1
            lengths = await book.output_lengths("개발자", call.model, simulated=True)
            assert lengths == (call.usage.output_tokens,)

    async def check_2_a_call_that_is_refused_spends_nothing(self) -> None:
        """Neither kept nor booked."""
        async with self._open() as (book, runs):
            call = call_of((await runs.create_run(new_run())).id)
            await refused(runs.save_call(replace(call, task=TaskId("없음"))), ConflictError)
            assert await runs.call(call.request) is None
            assert await book.totals("model", *EVER, simulated=True) == ()

    async def check_2_a_call_that_was_booked_already_is_kept(self) -> None:
        """Whoever booked it first, it is booked once."""
        async with self._open() as (book, runs):
            call = call_of((await runs.create_run(new_run())).id)
            await book.save_spend(_booked(call))
            await runs.save_call(call)
            assert await runs.call(call.request) == call
            (total,) = await book.totals("project", *EVER, simulated=True)
            assert total == total_of(PROJECT, [_booked(call)])

    async def check_1_the_names_of_answers_are_read_back(self) -> None:
        """Real or simulated, within the span, those that are known."""
        one, two = (replace(spend_of(n), message_id=f"답-{n}", at=NOON - n) for n in (1, 2))
        after = replace(one, request_id="지금", message_id="later", at=NOON)
        async with self._open() as (book, _):
            await _save(book, [one, two, replace(spend_of(3), at=NOON - 1), after])
            assert await book.answers(NOON - 2, NOON, simulated=False) == {"답-1", "답-2"}
            assert await book.answers(NOON - 2, NOON, simulated=True) == set()

    async def check_3_sums_by_every_name(self) -> None:
        """The same as adding up one by one; the dearest first; no name is a name too."""
        spends = [spend_of(n) for n in range(60)]
        async with self._open() as (book, _):
            await _save(book, spends)
            for by in BY:
                names = {getattr(spend, by) for spend in spends}
                sums = [total_of(n, (s for s in spends if getattr(s, by) == n)) for n in names]
                expected = sorted(sums, key=lambda total: (-total.cost_microusd, total.name))
                assert await book.totals(by, *EVER, simulated=False) == tuple(expected), by
            nobody = await book.totals("agent", *EVER, simulated=False)
            assert "" in {total.name for total in nobody}

    async def check_3_equally_dear_names_are_in_order(self) -> None:
        """Letter by letter, the same on every back end."""
        names = ["Zebra", "apple", "가나", "나", "Ärger", "_x", "a-b", "ab"]
        async with self._open() as (book, _):
            await _save(
                book,
                [replace(spend_of(n), agent=name, cost_microusd=0) for n, name in enumerate(names)],
            )
            totals = await book.totals("agent", *EVER, simulated=False)
            assert [total.name for total in totals] == sorted(names)

    async def check_3_sums_are_exact(self) -> None:
        """To the last token and millionth of a dollar."""
        big = Usage(2**61 + 1, 2**53 + 1, 2**53 + 3, 2**60 - 1)
        one = replace(spend_of(1), usage=big, cost_microusd=2**62 - 1, messages=2**53 + 1)
        two = replace(one, request_id="b", at=NOON, usage=Usage(2, 2, 2, 2), cost_microusd=2)
        async with self._open() as (book, _):
            await _save(book, [one, two])
            totals = await book.totals("model", *EVER, simulated=False)
            assert totals == (total_of(one.model, [one, two]),)
            samples = await book.samples(NOON, NOON + HOUR_S, HOUR_S, simulated=False)
            tokens = big.total_tokens + 8
            assert samples == (SpendSample(NOON, 2**54 + 2, tokens, 2**62 + 1),)

    async def check_3_spans_are_half_open(self) -> None:
        """What is spent at the border belongs to the later span."""
        before, at, after = (spend_of(n, at=NOON + n * 0.001) for n in (1, 2, 3))
        async with self._open() as (book, _):
            await _save(book, [before, at, after])
            for since, until, inside in (
                (0.0, at.at, [before]),
                (at.at, after.at, [at]),
                (at.at, float("inf"), [at, after]),
                (at.at, at.at, []),
            ):
                totals = await book.totals("tier", since, until, simulated=False)
                assert sum(total.messages for total in totals) == sum(s.messages for s in inside)

    async def check_3_any_division_of_time_adds_up(self) -> None:
        """Spans of any length and beginning: every row is in its own span and in no other."""
        spends = [spend_of(n) for n in range(100)]
        for n, spend in enumerate(spends):
            spends[n] = replace(spend, at=NOON + n * 7.1 + (n % 3) * 1e-6)
        async with self._open() as (book, _):
            await _save(book, spends)
            for since, until, every_s in (
                (NOON, NOON + 710.0, 7.1),
                (NOON - 0.3, NOON + 500.0, 0.1),
                (NOON + 7.1, NOON + 100.0, 1e9),
                (0.0, NOON + 300.0, 33.3),
                (0, 2 * int(NOON), 60),
                (NOON + 5000.0, NOON + 6000.0, 60.0),
                (NOON + 60.0, NOON, 60.0),
            ):
                inside = [spend for spend in spends if since <= spend.at < until]
                samples = await book.samples(since, until, every_s, simulated=False)
                assert samples == _divided(inside, since, every_s)
            halves = [
                await book.samples(NOON + a * 71.0, NOON + b * 71.0, 7.1, simulated=False)
                for a, b in ((0, 4), (4, 10))
            ]
            total = total_of("", spends)
            parts = [sample for half in halves for sample in half]
            assert sum(sample.messages for sample in parts) == total.messages
            assert sum(sample.tokens for sample in parts) == total.usage.total_tokens
            assert sum(sample.cost_microusd for sample in parts) == total.cost_microusd

    async def check_3_a_span_must_be_one(self) -> None:
        """Nothing cannot be counted in."""
        async with self._open() as (book, _):
            await book.save_spend(spend_of(1))
            for since, every_s in (
                (NOON, 0.0),
                (NOON, -1.0),
                (NOON, float("inf")),
                (-float("inf"), 1.0),
            ):
                asked = book.samples(since, NOON + HOUR_S, every_s, simulated=False)
                await refused(asked, UsageError)

    async def check_3_lengths_of_the_newest_calls(self) -> None:
        """Of one agent on one model, the newest first; sums of several calls are not lengths."""
        one = replace(spend_of(2), agent="개발자", model="소네트", messages=1)
        calls = [
            replace(one, request_id=f"{n}", at=NOON - n, usage=Usage(5, 100 + n)) for n in range(8)
        ]
        others = [
            replace(one, request_id="a", agent="검토자"),
            replace(one, request_id="b", model="하이쿠"),
            replace(one, request_id="c", simulated=True),
            replace(one, request_id="d", messages=3),
        ]
        async with self._open() as (book, _):
            await _save(book, [*calls[4:], *others, *calls[:4]])
            lengths = await book.output_lengths("개발자", "소네트", simulated=False)
            assert lengths == tuple(range(100, 108))
            few = await book.output_lengths("개발자", "소네트", most=3, simulated=False)
            assert few == (100, 101, 102)
            assert await book.output_lengths("", "소네트", simulated=False) == ()

    async def check_4_simulated_spending_is_kept_apart(self) -> None:
        """In every sum."""
        real = spend_of(1)
        play = replace(real, request_id="sim", simulated=True, usage=Usage(1, 2, 3, 4), messages=1)
        real = replace(real, messages=1)
        async with self._open() as (book, _):
            await _save(book, [real, play])
            for spend in (real, play):
                apart = spend.simulated
                for by in BY:
                    totals = await book.totals(by, *EVER, simulated=apart)
                    assert totals == (total_of(getattr(spend, by), [spend]),)
                (sample,) = await book.samples(NOON, NOON + HOUR_S, HOUR_S, simulated=apart)
                assert sample.tokens == spend.usage.total_tokens
                lengths = await book.output_lengths(spend.agent, spend.model, simulated=apart)
                assert lengths == (spend.usage.output_tokens,)

    async def check_4_names_may_be_anything(self) -> None:
        """What was spent is not lost for a name that no database takes."""
        odd = replace(spend_of(1), agent="a\x00b", model="\ud800모델", request_id="r\x00")
        async with self._open() as (book, _):
            await book.save_spend(odd)
            await book.save_spend(odd)
            (total,) = await book.totals("agent", *EVER, simulated=False)
            assert (total.messages, total.usage) == (odd.messages, odd.usage)

    async def check_5_spending_at_once_is_all_booked(self) -> None:
        """Each request once, however many save it, through two openings."""
        spends = [replace(spend_of(n), agent="함께") for n in range(30)]
        async with self._open() as (book, _), self._open() as (other, _):
            twice = [which.save_spend(spend) for spend in spends for which in (book, other, book)]
            await asyncio.gather(*twice)
            totals = await book.totals("agent", *EVER, simulated=False)
            assert totals == (total_of("함께", spends),)

    async def check_5_calls_at_once_are_all_booked(self) -> None:
        """Of several runs, each call saved by two, and booked by a third."""
        async with self._open() as (book, runs), self._open() as (_, others):
            made: list[CallRecord] = []
            for project in ("가-1", "나-2"):
                run = (await runs.create_run(new_run(ProjectId(project)))).id
                made += [replace(call_of(run, n), agent="함께") for n in range(12)]
            booked = [_booked(call, call.run.partition(".")[0]) for call in made]
            await asyncio.gather(
                *(which.save_call(call) for call in made for which in (runs, others)),
                *(book.save_spend(spend) for spend in booked),
            )
            totals = await book.totals("agent", *EVER, simulated=True)
            assert totals == (total_of("함께", booked),)
            by_project = await book.totals("project", *EVER, simulated=True)
            assert [total.messages for total in by_project] == [12, 12]
            assert len(await runs.calls(made[0].run)) == 12


def _booked(call: CallRecord, project: str = PROJECT) -> Spend:
    return Spend(
        request_id=call.request,
        at=call.finished_at,
        model=call.model,
        tier=call.tier,
        usage=call.usage,
        cost_microusd=call.cost_microusd,
        simulated=call.simulated,
        source="run",
        account=call.account,
        project=project,
        task=PLAN,
        agent=call.agent,
    )


async def _save(book: BudgetBook, spends: list[Spend]) -> None:
    for spend in spends:
        await book.save_spend(spend)


def _divided(spends: list[Spend], since: float, every_s: float) -> tuple[SpendSample, ...]:
    """The samples by their definition: a row is in the last span that had begun."""
    spans: dict[int, list[Spend]] = {}
    for spend in spends:
        number = int((spend.at - since) / every_s) + 1
        while since + number * every_s > spend.at:
            number -= 1
        spans.setdefault(number, []).append(spend)
    return tuple(
        SpendSample(
            since + number * every_s,
            sum(spend.messages for spend in inside),
            sum(spend.usage.total_tokens for spend in inside),
            sum(spend.cost_microusd for spend in inside),
        )
        for number, inside in sorted(spans.items())
    )
