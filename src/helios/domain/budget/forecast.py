"""When a limit's window is exhausted, and how much will be used by its end: P10, P50 and P90.

P10 of a time is early (one chance in ten that it comes sooner), P90 is late. Both questions are
one: a limit is exhausted by a moment exactly when the use until then reaches the room there is.
"""

from dataclasses import dataclass

from helios.domain.budget.limit import Balance
from helios.domain.budget.outlook import look_ahead
from helios.domain.budget.pace import Pace
from helios.domain.budget.units import Unit, show
from helios.domain.budget.window import NEVER

Z10 = 1.2816
"""The normal score that a tenth lies beyond, on either side."""
FARTHEST_S = 30 * 86_400.0
"""So far ahead is looked where a window never closes."""


@dataclass(frozen=True, slots=True)
class Band:
    """A median and the 80 % band around it."""

    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """When the limit has no room left (UTC seconds); None means not before the window's end."""

    p10: float | None
    p50: float | None
    p90: float | None
    chance: float


@dataclass(frozen=True, slots=True)
class WindowForecast:
    """What becomes of one limit's window.

    `until` is the window's end, or as far as one looks where it never closes. `demand` is what
    would be spent by then if nothing were refused; `used` is the same, stopped at the cap.
    """

    until: float
    demand: Band
    used: Band
    exhausted: Exhaustion


def forecast_window(pace: Pace, balance: Balance, now: float) -> WindowForecast | None:
    """Forecast one window.

    Args:
        pace: use of the limit's unit until `now`, from before the window opened as well.
        balance: the limit's books in its current window.
        now: UTC seconds by the ledger's clock.

    Returns:
        The forecast, or None when too little was seen to say anything yet.
    """
    until = min(balance.window.closes_at, now + FARTHEST_S)
    outlook = look_ahead(pace, until - now)
    if outlook is None:
        settled = balance.room <= 0 or until <= now
        return _as_it_is(balance, until=until, now=now) if settled else None
    whole, spent = outlook.whole, balance.spent
    demand = Band(
        spent + whole.quantile(-Z10),
        spent + whole.quantile(0.0),
        # What is in flight may all be charged, however quiet it was before.
        spent + max(whole.quantile(Z10), balance.held),
    )

    def time_of(z: float) -> float | None:
        if balance.room <= 0:
            return now
        seconds = outlook.reaches(balance.room, z)
        return None if seconds is None else now + seconds

    chance = whole.chance_of(balance.room) if balance.room > 0 else 1.0
    times = Exhaustion(time_of(Z10), time_of(0.0), time_of(-Z10), chance)
    return WindowForecast(until, demand, _stopped(demand, balance), times)


def _as_it_is(balance: Balance, *, until: float, now: float) -> WindowForecast:
    """A window that is full or over: nothing needs to be known of the pace."""
    used = Band(balance.spent, balance.spent, balance.spent + balance.held)
    full = balance.room <= 0 and until > now
    time = now if full else None
    return WindowForecast(until, used, used, Exhaustion(time, time, time, 1.0 if full else 0.0))


def _stopped(demand: Band, balance: Balance) -> Band:
    ceiling = max(balance.limit.cap, balance.spent)
    return Band(*(min(ceiling, amount) for amount in (demand.p10, demand.p50, demand.p90)))


def in_words(forecast: WindowForecast | None, balance: Balance, now: float) -> str:
    """The forecast as one sentence."""
    if forecast is None:
        return "too little use so far to forecast"
    if balance.room <= 0 and forecast.until > now:
        return "exhausted now"
    unit, times = balance.limit.unit, forecast.exhausted
    end = "within 30 days" if balance.window.closes_at == NEVER else "before its reset"
    if times.p10 is None:
        used = forecast.used
        return (
            f"not exhausted {end}: {_amount(unit, used.p50)} used then "
            f"({_amount(unit, used.p10)} to {_amount(unit, used.p90)})"
        )
    late = f"in {_span(times.p90 - now)}" if times.p90 is not None else f"not {end}"
    middle = f"in {_span(times.p50 - now)}" if times.p50 is not None else f"probably not {end}"
    return f"exhausted {middle} (P10 in {_span(times.p10 - now)}, P90 {late})"


def _amount(unit: Unit, amount: float) -> str:
    return show(unit, round(amount))


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
