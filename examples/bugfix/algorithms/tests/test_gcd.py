"""Tests of the common divisors in algorithms.numbers."""

import unittest

from algorithms.numbers import gcd, lcm


class GcdTests(unittest.TestCase):
    """gcd and lcm."""

    def test_positive_numbers(self) -> None:
        self.assertEqual(gcd(12, 18), 6)
        self.assertEqual(gcd(18, 12), 6)
        self.assertEqual(gcd(17, 5), 1)

    def test_zero(self) -> None:
        self.assertEqual(gcd(0, 7), 7)
        self.assertEqual(gcd(7, 0), 7)
        self.assertEqual(gcd(0, 0), 0)

    def test_the_divisor_of_negative_numbers_is_not_negative(self) -> None:
        self.assertEqual(gcd(12, -18), 6)
        self.assertEqual(gcd(-12, -18), 6)
        self.assertEqual(gcd(-7, 0), 7)

    def test_lcm(self) -> None:
        self.assertEqual(lcm(4, 6), 12)
        self.assertEqual(lcm(3, 7), 21)
        self.assertEqual(lcm(0, 5), 0)

    def test_the_multiple_of_negative_numbers_is_not_negative(self) -> None:
        self.assertEqual(lcm(4, -6), 12)
