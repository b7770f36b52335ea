"""What the checks of `ports.budget` share: how a book is opened, and spending to put in it."""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager

from helios.domain.budget.spend import Spend, SpendTotal
from helios.domain.usage import Usage
from helios.ports.budget import BudgetBook
from helios.ports.runs import RunStore
from helios.testing.clock import MovableClock
from helios.testing.conformance.suite import Suite

OpenBook = Callable[[MovableClock], AbstractAsyncContextManager[tuple[BudgetBook, RunStore]]]
"""Opens a book and the record of runs whose calls are booked in it; a second opening finds the
same, also while the first is open."""

NOON = 1_800_000_000.0
HOUR_S = 3600.0
EVER = (0.0, float("inf"))

NAMES = ("opus", "하이쿠", "소네트-5", "")


class BookSuite(Suite):
    """Checks of an empty book."""

    def __init__(self, open_book: OpenBook) -> None:
        self._clock = MovableClock(NOON)
        self._open_book = open_book

    def _open(self) -> AbstractAsyncContextManager[tuple[BudgetBook, RunStore]]:
        return self._open_book(self._clock)


def spend_of(number: int, *, simulated: bool = False, at: float | None = None) -> Spend:
    """One of many that differ in every column, a minute apart."""
    names = [NAMES[(number + n) % len(NAMES)] for n in range(5)]
    return Spend(
        request_id=f"요청-{number}",
        at=NOON + 60.0 * number if at is None else at,
        model=names[0] or "fast",
        tier=("economy", "standard", "strong")[number % 3],
        usage=Usage(1000 + number, 10 * number, number % 7, number % 5),
        cost_microusd=number * number,
        simulated=simulated,
        source=("run", "api", "gateway")[number % 3],
        messages=1 + number % 2,
        account=names[1],
        project=names[2],
        task=names[3],
        agent=names[4],
    )


def total_of(name: str, spends: Iterable[Spend]) -> SpendTotal:
    """The sum of some rows, added up one by one."""
    usage, messages, cost = Usage(), 0, 0
    for spend in spends:
        usage, messages = usage + spend.usage, messages + spend.messages
        cost += spend.cost_microusd
    return SpendTotal(name, messages, usage, cost)
