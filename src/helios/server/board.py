"""The board: how full everything is, read at most ten times a second however many look."""

from dataclasses import dataclass

from helios.bootstrap.house import Desk
from helios.domain.budget.signal import Signal
from helios.server.readings import Shared
from helios.server.views import (
    BudgetFigures,
    GaugeView,
    MetricFigures,
    MetricsView,
    ProviderView,
    Standing,
    StatusView,
    ThrottleView,
    Told,
)
from helios.services.governor import BudgetStatus
from helios.services.spending import Metrics

STATUS_LASTS_S = 0.1
FIGURES_LAST_S = 1.0
THERE_LASTS_S = 1.0


@dataclass(frozen=True, slots=True)
class Page:
    """An answer as JSON but for its last field, the age."""

    text: str

    def at_age(self, age_s: float) -> str:
        """The whole answer."""
        return f'{self.text},"age_s":{age_s:.3f}}}'


class Board:
    """What the plan, the provider and the book say, kept for a moment."""

    def __init__(self, desk: Desk) -> None:
        clock = desk.house.clock
        self._desk = desk
        self._status = Shared(desk.governor.status, clock, lasts_s=STATUS_LASTS_S)
        self._figures = Shared(self._read_figures, clock, lasts_s=FIGURES_LAST_S)
        self._there = Shared(desk.house.stores.ledger.now, clock, lasts_s=THERE_LASTS_S)
        self._page = Shared(self._write_status, clock, lasts_s=STATUS_LASTS_S)
        self._metrics_page = Shared(self._write_metrics, clock, lasts_s=STATUS_LASTS_S)

    async def status(self) -> tuple[BudgetStatus, float]:
        """The gauges and their age in seconds.

        Raises:
            StoreError: the store is away.
        """
        return await self._status.get()

    async def reach_store(self) -> None:
        """Make sure that the store is there, so that many callers do not each wait for it in turn.

        Raises:
            StoreError: it is away.
        """
        await self._there.get()

    async def status_page(self) -> str:
        """The answer of `status`."""
        page, age_s = await self._page.get()
        return page.at_age(age_s)

    async def metrics_page(self) -> str:
        """The answer of `metrics`."""
        page, age_s = await self._metrics_page.get()
        return page.at_age(age_s)

    def told(self, status: BudgetStatus, age_s: float) -> Told:
        """Of which plan and time a reading is."""
        plan = self._desk.house.plan.name
        return Told(plan=plan, simulated=self._desk.simulated, at=status.at, age_s=round(age_s, 3))

    def forget(self) -> None:
        """Something was booked or set."""
        for shared in (self._status, self._figures, self._page, self._metrics_page):
            shared.forget()

    async def _read_figures(self) -> tuple[Metrics, tuple[Signal, ...]]:
        book = self._desk.house.stores.budget
        return await self._desk.spending.metrics(), await book.latest_signals()

    async def _write_status(self) -> Page:
        status = await self._desk.governor.status()
        (metrics, signals), age_s = await self._figures.get()
        standing: Standing = "normal"
        if status.brake and status.brake.level == "paused":
            standing = "paused"
        else:
            standing = status.zone.value
        view = StatusView(
            **self.told(status, 0.0).model_dump(),
            status=standing,
            zone=status.zone,
            budget=BudgetFigures.of_status(status),
            metrics=MetricFigures.of_metrics(metrics, age_s),
            gauges=[GaugeView.of(gauge) for gauge in status.gauges],
            throttle=ThrottleView.of(status.brake),
            provider=[ProviderView.of(signal, status.at) for signal in signals],
        )
        return _page(view)

    async def _write_metrics(self) -> Page:
        status = await self._desk.governor.status()
        (metrics, _), age_s = await self._figures.get()
        view = MetricsView(
            **self.told(status, 0.0).model_dump(),
            **dict(BudgetFigures.of_status(status)),
            **dict(MetricFigures.of_metrics(metrics, age_s)),
        )
        return _page(view)


def _page(view: Told) -> Page:
    return Page(view.model_dump_json(exclude={"age_s"}).removesuffix("}"))
