"""Amounts as people type them."""

import re
from dataclasses import replace

import pytest

from helios.cli.amounts import WINDOWS, read_wish, told
from helios.cli.ceilings import ceiling, rule_to_json
from helios.domain.budget.account import LimitRule
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Anchored, Calendar, OpensOnUse
from helios.errors import UsageError

DAILY = LimitRule("acme", "cap", Unit.MICROUSD, 10_000, WINDOWS["day"])


def meant(text: str, old: LimitRule | None = None) -> LimitRule:
    return ceiling("acme", "cap", read_wish(text, "X"), old, otherwise=("messages", "month"))


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("40", "40 messages per month"),
        ("$50", "$50.00 per month"),
        ("$ 50/day", "$50.00 per day"),
        ("50usd", "$50.00 per month"),
        ("50 usd", "$50.00 per month"),
        ("5USD/day", "$5.00 per day"),
        ("5 Usd / Week", "$5.00 per week"),
        ("0.01 usd per day", "$0.01 per day"),
        ("1,000", "1,000 messages per month"),
        ("1,234,567.5 points/5h", "1,234,567.5 points per 5h"),
        ("1 message/ever", "1 message in all"),
        ("200messages/5h", "200 messages per 5h"),
        ("34000 tokens", "34k tokens per month"),
        ("1 token", "1 token per month"),
        (" 5usd/day ", "$5.00 per day"),
    ],
)
def test_what_people_type_is_understood(typed: str, shown: str) -> None:
    assert told(meant(typed)) == shown


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "expected an amount"),
        ("many", "expected an amount"),
        ("nan", "expected an amount"),
        ("1e3", "expected an amount"),
        ("1,5", "expected an amount"),
        ("1,00", "expected an amount"),
        ("50€", "expected an amount"),
        ("５0", "expected an amount"),
        ("-5", "more than 0"),
        ("-5usd/day", "more than 0"),
        ("0", "more than 0"),
        ("9" * 400, "smaller"),
        ("1.5 messages", "steps of 1"),
        ("1.5", "steps of 1"),
        ("0.0000001 usd", "steps of 0.000001"),
        ("0.0001 points", "steps of 0.001"),
        ("$5 messages", "no such unit"),
        ("5 widgets", "no such unit"),
        ("5/fortnight", "no period 'fortnight'"),
    ],
)
def test_what_cannot_be_says_where_it_was_typed(typed: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"^X {re.escape(repr(typed))}.*{said}"):
        meant(typed)


def test_a_part_of_a_message_is_told_the_whole_ones() -> None:
    with pytest.raises(UsageError) as raised:
        meant("1.5 messages")
    assert raised.value.next_step == "Give 1 message or 2 messages."


def test_unit_and_period_stay_where_none_are_named() -> None:
    strict = replace(DAILY, strong_only=True, zoned=True)
    for typed, shown in (
        ("1", "$1.00 per day, strong models only"),
        ("1/week", "$1.00 per week, strong models only"),
        ("1 message", "1 message per day, strong models only"),
    ):
        raised = meant(typed, strict)
        assert told(raised) == shown
        assert raised.zoned


@pytest.mark.parametrize(
    ("window", "shown", "per"),
    [
        (Calendar("day", "Asia/Seoul"), "per day (Asia/Seoul)", "day"),
        (Anchored(7 * 86_400.0, 3600.0), "per week", "week"),
        (OpensOnUse(7200.0), "per 2h", None),
    ],
)
def test_a_period_set_elsewhere_is_shown_and_kept(
    window: Calendar | Anchored | OpensOnUse, shown: str, per: str | None
) -> None:
    old = replace(DAILY, window=window)
    assert told(old) == f"$0.01 {shown}"
    assert rule_to_json(old)["per"] == per
    assert meant("$2", old).window == window
    assert meant(f"$2/{per}" if per else "$2", old).window == window
    assert meant("$2/month", old).window == WINDOWS["month"]


def test_without_a_unit_or_a_period_from_anywhere_it_is_refused() -> None:
    for typed, missing in (("5/day", "unit"), ("5usd", "period")):
        with pytest.raises(UsageError, match=f"^X {typed!r} says no {missing}"):
            ceiling("acme", "cap", read_wish(typed, "X"))
