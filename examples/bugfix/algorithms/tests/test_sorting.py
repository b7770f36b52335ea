"""Tests of algorithms.sorting."""

import unittest

from algorithms.sorting import merge_sort


def identity(number: int) -> int:
    """Return the number itself."""
    return number


def first(pair: tuple[int, str]) -> int:
    """Return the number of a pair."""
    return pair[0]


class SortingTests(unittest.TestCase):
    """Order and stability of the merge sort."""

    def test_numbers(self) -> None:
        self.assertEqual(merge_sort([5, 2, 9, -1, 5, 0], identity), [-1, 0, 2, 5, 5, 9])

    def test_empty_and_single(self) -> None:
        self.assertEqual(merge_sort([], identity), [])
        self.assertEqual(merge_sort([4], identity), [4])

    def test_the_argument_is_not_changed(self) -> None:
        numbers = [3, 1, 2]
        merge_sort(numbers, identity)
        self.assertEqual(numbers, [3, 1, 2])

    def test_key(self) -> None:
        self.assertEqual(merge_sort(["ccc", "a", "bb"], len), ["a", "bb", "ccc"])

    def test_two_equal_keys_keep_their_order(self) -> None:
        self.assertEqual(merge_sort([(1, "a"), (1, "b")], first), [(1, "a"), (1, "b")])

    def test_many_equal_keys_keep_their_order(self) -> None:
        pairs = [(number % 3, str(number)) for number in range(30)]
        self.assertEqual(merge_sort(pairs, first), sorted(pairs, key=first))
