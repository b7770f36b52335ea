"""Dates of the Gregorian calendar, counted without the datetime module."""

from typing import NamedTuple

_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Date(NamedTuple):
    """A date; dates compare in the order of time."""

    year: int
    month: int
    day: int


def is_leap_year(year: int) -> bool:
    """Tell whether the year has a 29th of February."""
    return year % 4 == 0 and year % 100 != 0


def days_in_month(year: int, month: int) -> int:
    """Return the length of a month; January is month 1."""
    if not 1 <= month <= 12:
        raise ValueError(f"there is no month {month}")
    if month == 2 and is_leap_year(year):
        return 29
    return _LENGTHS[month - 1]


def day_number(date: Date) -> int:
    """Return how many days the date is after the last day before year 1."""
    if not 1 <= date.day <= days_in_month(date.year, date.month):
        raise ValueError(f"month {date.month} of {date.year} has no day {date.day}")
    before = date.year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400
    days += sum(days_in_month(date.year, month) for month in range(1, date.month))
    return days + date.day


def days_between(first: Date, second: Date) -> int:
    """Return the days from the first date to the second, negative if the second is earlier."""
    return day_number(second) - day_number(first)
