"""A refusal names the limit that leaves no hope, and the place where that is raised."""

import pytest

from helios.domain.budget.cure import cure
from helios.domain.budget.ledger import BRAKE, Admission, Request, admit
from helios.domain.budget.limit import Balance, Limit, Lowered
from helios.domain.budget.units import Unit
from helios.domain.budget.window import NEVER, Calendar, Forever, Window, WindowRule
from helios.domain.budget.zones import Zone
from helios.domain.pricing import Tier

DAY = Window(0.0, 86_400.0)
WISH = Request("요청", Tier.STANDARD, {Unit.MICROUSD: 100, Unit.MESSAGES: 1})


def books(
    key: str, cap: int, spent: int = 0, held: int = 0, *, rule: WindowRule | None = None,
    lowered: Lowered | None = None, unit: Unit = Unit.MICROUSD,
) -> Balance:  # fmt: skip
    limit = Limit(key, unit, cap, rule or Calendar("day"), key, key, lowered=lowered)
    window = Window(0.0, NEVER) if isinstance(rule, Forever) else DAY
    return Balance(limit, window, spent, held)


@pytest.mark.parametrize(
    ("balance", "resets_at", "hopeless"),
    [
        (books("day", 99), NEVER, True),
        (books("day", 99, lowered=Lowered("figures", 50.0)), 50.0, False),
        (books("day", 100, spent=1), DAY.closes_at, False),
        (books("run", 100, spent=1, rule=Forever()), NEVER, True),
        (books("run", 100, held=1, rule=Forever()), NEVER, False),
    ],
)
def test_no_hope_is_left_exactly_where_neither_time_nor_another_can_help(
    balance: Balance, resets_at: float, hopeless: bool
) -> None:
    refused = admit(WISH, (balance,), 1.0)
    assert (refused.granted, refused.resets_at, refused.hopeless) == (False, resets_at, hopeless)


def test_of_two_that_refuse_the_one_without_hope_is_named() -> None:
    full, small = books("full", 100, spent=50), books("small", 99)
    for order in ((full, small), (small, full)):
        assert admit(WISH, order, 1.0).binding == "small"
    other = books("other", 100, spent=50)
    assert admit(WISH, (full, other), 1.0).binding == "full"


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("run/p-1.1/microusd", "`cost_usd` under `budget:` in helios.yaml"),
        ("run/p-1.1/messages", "`messages` under `budget:` in helios.yaml"),
        ("run/p-1.1/strong-messages", "`strong_share` under `budget:`"),
        ("run/p-1.1/strong-microusd", "`strong_share` under `budget:`"),
        ("run/p-1.1/task/고치기/messages", "`messages:` of task 고치기 in helios.yaml"),
        ("everybody/cap/microusd", "`helios budget set cap AMOUNT`"),
        ("account/acme/웹/cap/tokens", "`helios budget set cap AMOUNT --account acme/웹`"),
        ("simulated/account/acme/cap/tokens", "`helios budget set cap AMOUNT --account acme`"),
        ("plan/max-5x/weekly/millipoints", "The plan's window is too small"),
    ],
)
def test_a_limit_is_raised_where_it_was_set(key: str, says: str) -> None:
    answer = Admission(granted=False, zone=Zone.NORMAL, reason="", binding=key, resets_at=NEVER)
    assert says in cure(answer)


def test_what_passes_by_itself_is_only_waited_for() -> None:
    refused = admit(WISH, (books("day", 100, spent=1),), 1.0)
    assert "window resets" in cure(refused)
    held = admit(WISH, (books("run", 100, held=1, rule=Forever()),), 1.0)
    assert "settled" in cure(held)
    braked = Admission(granted=False, zone=Zone.CRITICAL, reason="", binding=BRAKE, resets_at=NEVER)
    assert not braked.hopeless
    assert "throttle off" in cure(braked)
