"""Tests of algorithms.primes."""

import unittest

from algorithms.primes import count_divisors, factorise, primes_up_to


class PrimeTests(unittest.TestCase):
    """The sieve and the factorisation."""

    def test_the_limit_is_included(self) -> None:
        self.assertEqual(primes_up_to(13), [2, 3, 5, 7, 11, 13])

    def test_squares_of_primes_are_not_prime(self) -> None:
        self.assertEqual(primes_up_to(25), [2, 3, 5, 7, 11, 13, 17, 19, 23])

    def test_no_primes(self) -> None:
        self.assertEqual(primes_up_to(1), [])
        self.assertEqual(primes_up_to(-5), [])

    def test_number_of_primes_below_a_thousand(self) -> None:
        self.assertEqual(len(primes_up_to(1000)), 168)

    def test_factorise(self) -> None:
        self.assertEqual(factorise(360), {2: 3, 3: 2, 5: 1})
        self.assertEqual(factorise(97), {97: 1})
        self.assertEqual(factorise(49), {7: 2})
        self.assertEqual(factorise(1), {})

    def test_numbers_below_one_are_refused(self) -> None:
        with self.assertRaises(ValueError):
            factorise(0)

    def test_count_divisors(self) -> None:
        self.assertEqual(count_divisors(1), 1)
        self.assertEqual(count_divisors(28), 6)
        self.assertEqual(count_divisors(101), 2)
