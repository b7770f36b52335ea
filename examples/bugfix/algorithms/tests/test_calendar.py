"""Tests of algorithms.calendar."""

import unittest

from algorithms.calendar import Date, day_number, days_between, days_in_month, is_leap_year


class CalendarTests(unittest.TestCase):
    """Leap years, months and days between dates."""

    def test_ordinary_leap_years(self) -> None:
        self.assertTrue(is_leap_year(2024))
        self.assertFalse(is_leap_year(2023))

    def test_most_centuries_are_not_leap_years(self) -> None:
        self.assertFalse(is_leap_year(1900))
        self.assertFalse(is_leap_year(2100))

    def test_every_fourth_century_is_a_leap_year(self) -> None:
        self.assertTrue(is_leap_year(1600))
        self.assertTrue(is_leap_year(2000))

    def test_days_in_month(self) -> None:
        self.assertEqual(days_in_month(2023, 2), 28)
        self.assertEqual(days_in_month(2024, 2), 29)
        self.assertEqual(days_in_month(2024, 12), 31)

    def test_dates_that_do_not_exist(self) -> None:
        with self.assertRaises(ValueError):
            days_in_month(2024, 13)
        with self.assertRaises(ValueError):
            day_number(Date(2023, 2, 29))

    def test_day_number(self) -> None:
        self.assertEqual(day_number(Date(1, 1, 1)), 1)
        self.assertEqual(day_number(Date(1970, 1, 1)), 719_163)

    def test_days_between(self) -> None:
        self.assertEqual(days_between(Date(2024, 2, 28), Date(2024, 3, 1)), 2)
        self.assertEqual(days_between(Date(2023, 1, 1), Date(2024, 1, 1)), 365)
        self.assertEqual(days_between(Date(2024, 3, 1), Date(2024, 2, 28)), -2)

    def test_days_of_the_year_2000(self) -> None:
        self.assertEqual(days_between(Date(2000, 2, 28), Date(2000, 3, 1)), 2)
        self.assertEqual(days_between(Date(2000, 1, 1), Date(2000, 12, 31)), 365)
