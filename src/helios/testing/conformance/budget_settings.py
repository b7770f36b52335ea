"""What people and the provider say: rules, the brake, signals."""

import asyncio
from dataclasses import replace

from helios.domain.budget.account import LimitRule
from helios.domain.budget.signal import Signal
from helios.domain.budget.throttle import Throttle
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Anchored, Calendar, Forever, OpensOnUse
from helios.domain.budget.zones import Thresholds
from helios.testing.conformance.budget_basics import NOON, BookSuite

RULES = (
    LimitRule("", "calls", Unit.MESSAGES, 900, OpensOnUse(18_000.1), zoned=True),
    LimitRule("", "전체-한도", Unit.MICROUSD, 2**62 + 1, Forever(), strong_only=True),
    LimitRule("회사", "weekly", Unit.MILLIPOINTS, 100_000, Anchored(604_800.0, NOON + 0.1 + 0.2)),
    LimitRule("회사/모바일", "daily", Unit.TOKENS, 0, Calendar("day", "Asia/Seoul")),
    LimitRule(
        "회사/모바일",
        "monthly",
        Unit.TOKENS,
        2**53 + 1,
        Calendar("month"),
        thresholds=Thresholds(1 / 3, 0.1 + 0.2, 9, 0.01, 0.99),
    ),
)
"""One of each kind of window, in the order of accounts and names."""

SIGNAL = Signal("five_hour", 0.42, NOON, "headers", NOON + 0.7, "허용됨", overage=True)


class SettingsChecks(BookSuite):
    """The part of promises 1, 2 and 5 that is about what was said."""

    async def check_1_rules_come_back_letter_by_letter(self) -> None:
        """Every kind of window and every field, in order, also after opening again."""
        async with self._open() as (book, _):
            assert await book.limit_rules() == ()
            for rule in reversed(RULES):
                await book.put_limit_rule(rule)
            assert await book.limit_rules() == RULES
        async with self._open() as (book, _):
            assert await book.limit_rules() == RULES

    async def check_1_a_rule_is_replaced_whole(self) -> None:
        """By account and name; the others stay."""
        first, *others = RULES
        changed = replace(
            RULES[3], account="", name="calls", thresholds=Thresholds(0.5), strong_only=True
        )
        async with self._open() as (book, _):
            for rule in (*RULES, changed):
                await book.put_limit_rule(rule)
            assert await book.limit_rules() == (changed, *others)
            await book.put_limit_rule(first)
            assert await book.limit_rules() == RULES

    async def check_1_a_removed_rule_is_gone(self) -> None:
        """That one only; removing says whether there was one."""
        async with self._open() as (book, _):
            for rule in RULES:
                await book.put_limit_rule(rule)
            assert await book.remove_limit_rule("회사/모바일", "daily") is True
            assert await book.remove_limit_rule("회사/모바일", "daily") is False
            assert await book.remove_limit_rule("회사", "daily") is False
            assert await book.limit_rules() == (*RULES[:3], RULES[4])

    async def check_1_the_brake_is_as_it_was_set_last(self) -> None:
        """With an end or without, whether or not it still holds, until it is released."""
        short = Throttle("paused", NOON + 0.1, NOON + 0.3, "배포 중", "지훈")
        async with self._open() as (book, _):
            assert await book.throttle() is None
            for brake in (Throttle("throttle", NOON), short):
                await book.set_throttle(brake)
                assert await book.throttle() == brake
        self._clock.move(1_000_000)
        async with self._open() as (book, _):
            assert await book.throttle() == short
            await book.set_throttle(None)
            await book.set_throttle(None)
            assert await book.throttle() is None

    async def check_1_signals_come_back_letter_by_letter(self) -> None:
        """Of one window, the newest ones, the oldest first, also after opening again."""
        said = [replace(SIGNAL, at=NOON + n / 10, used=n / 100) for n in range(20)]
        plain = Signal("seven_day", 1.07, NOON, "cli")
        async with self._open() as (book, _):
            for signal in (*reversed(said), plain):
                await book.save_signal(signal)
        async with self._open() as (book, _):
            assert await book.signals("five_hour", 0.0) == tuple(said)
            assert await book.signals("five_hour", said[15].at) == tuple(said[15:])
            assert await book.signals("five_hour", 0.0, most=3) == tuple(said[-3:])
            assert await book.signals("seven_day", 0.0) == (plain,)
            assert await book.signals("주간", 0.0) == ()

    async def check_1_the_newest_signal_of_each_window(self) -> None:
        """Whatever came in last and from wherever; of equally new ones the best source's."""
        newer = replace(SIGNAL, at=NOON + 5, source="transcript", used=0.5)
        best = replace(newer, source="headers", used=0.51)
        weekly = Signal("주간", 0.9, NOON - 1000, "statusline")
        async with self._open() as (book, _):
            assert await book.latest_signals() == ()
            for signal in (newer, weekly, SIGNAL, replace(weekly, at=1.0, used=0.1)):
                await book.save_signal(signal)
            assert await book.latest_signals() == (newer, weekly)
            for signal in (replace(newer, source="cli"), best, replace(newer, source="statusline")):
                await book.save_signal(signal)
            assert await book.latest_signals() == (best, weekly)

    async def check_2_said_twice_is_said_once(self) -> None:
        """The same rule, brake or figure; a figure of the same time and source is replaced."""
        brake = Throttle("critical", NOON, reason="이유")
        corrected = replace(SIGNAL, used=0.43, status="", resets_at=None, overage=False)
        async with self._open() as (book, _):
            for _ in range(2):
                await book.put_limit_rule(RULES[0])
                await book.set_throttle(brake)
                await book.save_signal(SIGNAL)
            assert await book.limit_rules() == RULES[:1]
            assert await book.throttle() == brake
            assert await book.signals(SIGNAL.window, 0.0) == (SIGNAL,)
            await book.save_signal(corrected)
            assert await book.signals(SIGNAL.window, 0.0) == (corrected,)

    async def check_5_all_may_speak_at_once(self) -> None:
        """Nothing is lost, nobody is turned away, and of one thing there is one."""
        caps = [replace(RULES[0], cap=n) for n in range(10)]
        said = [replace(SIGNAL, at=NOON + n % 10) for n in range(20)]
        brakes = [Throttle("paused", NOON, by=f"{n}") for n in range(10)]
        async with self._open() as (book, _), self._open() as (other, _):
            await asyncio.gather(
                *(
                    which.put_limit_rule(rule)
                    for rule in (*RULES[1:], *caps)
                    for which in (book, other)
                ),
                *(which.save_signal(signal) for signal in said for which in (book, other)),
                *(which.set_throttle(brake) for brake in brakes for which in (book, other)),
            )
            first, *others = await book.limit_rules()
            assert first in caps
            assert tuple(others) == RULES[1:]
            assert await book.signals(SIGNAL.window, 0.0) == tuple(said[:10])
            assert await book.throttle() in brakes
