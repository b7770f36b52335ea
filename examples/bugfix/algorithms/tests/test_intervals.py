"""Tests of algorithms.intervals."""

import unittest

from algorithms.intervals import covered, insert_interval, merge_intervals


class IntervalTests(unittest.TestCase):
    """Merging, inserting and measuring."""

    def test_overlapping_intervals_become_one(self) -> None:
        self.assertEqual(merge_intervals([(2, 6), (1, 3), (8, 10)]), [(1, 6), (8, 10)])

    def test_an_interval_inside_another(self) -> None:
        self.assertEqual(merge_intervals([(1, 10), (2, 3), (4, 5)]), [(1, 10)])

    def test_touching_intervals_become_one(self) -> None:
        self.assertEqual(merge_intervals([(1, 3), (3, 5)]), [(1, 5)])

    def test_a_gap_of_one_stays(self) -> None:
        self.assertEqual(merge_intervals([(1, 3), (4, 6)]), [(1, 3), (4, 6)])

    def test_empty_intervals_are_left_out(self) -> None:
        self.assertEqual(merge_intervals([(4, 4), (1, 2)]), [(1, 2)])
        self.assertEqual(merge_intervals([]), [])

    def test_insert_between(self) -> None:
        self.assertEqual(insert_interval([(1, 2), (8, 9)], (4, 6)), [(1, 2), (4, 6), (8, 9)])

    def test_insert_fills_the_gap(self) -> None:
        self.assertEqual(insert_interval([(1, 4), (6, 9)], (4, 6)), [(1, 9)])

    def test_covered_counts_nothing_twice(self) -> None:
        self.assertEqual(covered([(0, 4), (2, 6), (6, 7), (10, 11)]), 8)
