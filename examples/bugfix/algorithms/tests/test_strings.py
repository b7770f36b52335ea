"""Tests of algorithms.strings."""

import unittest

from algorithms.strings import find_all, prefix_function, smallest_period


class StringTests(unittest.TestCase):
    """Borders, occurrences and periods."""

    def test_prefix_function(self) -> None:
        self.assertEqual(prefix_function("abacaba"), [0, 0, 1, 0, 1, 2, 3])
        self.assertEqual(prefix_function("aabaaab"), [0, 1, 0, 1, 2, 2, 3])
        self.assertEqual(prefix_function(""), [])

    def test_separate_occurrences(self) -> None:
        self.assertEqual(find_all("the cat and the dog", "the"), [0, 12])

    def test_overlapping_occurrences(self) -> None:
        self.assertEqual(find_all("aaaa", "aa"), [0, 1, 2])
        self.assertEqual(find_all("abababa", "aba"), [0, 2, 4])

    def test_no_occurrence(self) -> None:
        self.assertEqual(find_all("abcabd", "abe"), [])
        self.assertEqual(find_all("", "a"), [])

    def test_a_match_after_a_partial_match(self) -> None:
        self.assertEqual(find_all("aabaabaaab", "aabaaa"), [3])

    def test_an_empty_pattern_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            find_all("text", "")

    def test_smallest_period(self) -> None:
        self.assertEqual(smallest_period("abcabcabc"), 3)
        self.assertEqual(smallest_period("abcabca"), 7)
        self.assertEqual(smallest_period("aaaa"), 1)
        self.assertEqual(smallest_period(""), 0)
