"""Tests of algorithms.searching."""

import unittest

from algorithms.searching import count, find, lower_bound, upper_bound


class SearchingTests(unittest.TestCase):
    """Bounds, find and count in sorted lists."""

    def test_lower_bound_of_a_missing_value_in_the_middle(self) -> None:
        self.assertEqual(lower_bound([1, 3, 5, 7], 4), 2)

    def test_lower_bound_of_a_repeated_value_is_its_first_index(self) -> None:
        self.assertEqual(lower_bound([1, 3, 3, 3, 7], 3), 1)

    def test_lower_bound_beyond_every_item_is_the_length(self) -> None:
        self.assertEqual(lower_bound([1, 3, 5], 9), 3)
        self.assertEqual(lower_bound([2], 3), 1)

    def test_lower_bound_in_an_empty_list(self) -> None:
        self.assertEqual(lower_bound([], 4), 0)

    def test_upper_bound(self) -> None:
        self.assertEqual(upper_bound([1, 3, 3, 7], 3), 3)
        self.assertEqual(upper_bound([1, 3, 3, 7], 9), 4)
        self.assertEqual(upper_bound([1, 3, 3, 7], 0), 0)

    def test_find_returns_the_first_of_equal_items(self) -> None:
        self.assertEqual(find([2, 4, 4, 8], 4), 1)
        self.assertEqual(find([2, 4, 4, 8], 8), 3)

    def test_find_returns_none_for_a_missing_value(self) -> None:
        self.assertIsNone(find([2, 4, 8], 5))
        self.assertIsNone(find([2, 4, 8], 9))
        self.assertIsNone(find([], 1))

    def test_count_of_present_values(self) -> None:
        self.assertEqual(count([1, 2, 2, 2, 5], 2), 3)

    def test_count_of_a_value_beyond_every_item_is_zero(self) -> None:
        self.assertEqual(count([1, 2, 2], 6), 0)
