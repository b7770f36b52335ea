"""Tests of the modular arithmetic in algorithms.numbers."""

import unittest

from algorithms.numbers import extended_gcd, modular_inverse, modular_power


class ModularTests(unittest.TestCase):
    """Powers, the extended gcd and inverses."""

    def test_power(self) -> None:
        self.assertEqual(modular_power(3, 13, 7), 3)
        self.assertEqual(modular_power(2, 1000, 1_000_007), pow(2, 1000, 1_000_007))
        self.assertEqual(modular_power(-2, 3, 5), 2)

    def test_power_zero(self) -> None:
        self.assertEqual(modular_power(5, 0, 9), 1)
        self.assertEqual(modular_power(5, 0, 1), 0)

    def test_wrong_arguments_of_a_power_are_refused(self) -> None:
        with self.assertRaises(ValueError):
            modular_power(2, -1, 7)
        with self.assertRaises(ValueError):
            modular_power(2, 3, 0)

    def test_extended_gcd(self) -> None:
        for first, second in [(240, 46), (46, 240), (7, 0), (0, 7), (9, 9)]:
            with self.subTest(first=first, second=second):
                divisor, x, y = extended_gcd(first, second)
                self.assertEqual(first * x + second * y, divisor)
                self.assertEqual((first % divisor, second % divisor), (0, 0))

    def test_an_inverse(self) -> None:
        self.assertEqual(modular_inverse(2, 7), 4)
        self.assertEqual(modular_inverse(1, 5), 1)

    def test_every_inverse_is_between_zero_and_the_modulus(self) -> None:
        self.assertEqual([modular_inverse(x, 7) for x in range(1, 7)], [1, 4, 5, 2, 3, 6])
        self.assertEqual(modular_inverse(-3, 11), 7)

    def test_no_inverse(self) -> None:
        with self.assertRaises(ValueError):
            modular_inverse(4, 6)
