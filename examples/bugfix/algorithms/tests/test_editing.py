"""Tests of algorithms.editing."""

import unittest

from algorithms.editing import closest_word, edit_distance


class EditingTests(unittest.TestCase):
    """Distances and the closest word."""

    def test_equal_strings(self) -> None:
        self.assertEqual(edit_distance("same", "same"), 0)
        self.assertEqual(edit_distance("", ""), 0)

    def test_replacements(self) -> None:
        self.assertEqual(edit_distance("kitten", "sitting"), 3)
        self.assertEqual(edit_distance("book", "back"), 2)

    def test_insertions_only(self) -> None:
        self.assertEqual(edit_distance("", "abc"), 3)
        self.assertEqual(edit_distance("at", "cats"), 2)

    def test_deleting_everything(self) -> None:
        self.assertEqual(edit_distance("abc", ""), 3)

    def test_deleting_the_beginning(self) -> None:
        self.assertEqual(edit_distance("unhappy", "happy"), 2)

    def test_the_distance_is_the_same_both_ways(self) -> None:
        self.assertEqual(edit_distance("abc", "c"), edit_distance("c", "abc"))

    def test_closest_word(self) -> None:
        self.assertEqual(closest_word("serach", ["search", "sort", "heap"]), "search")
        self.assertEqual(closest_word("cat", ["hat", "bat"]), "bat")

    def test_no_word_is_close(self) -> None:
        self.assertIsNone(closest_word("graph", ["heap", "lru"]))
        self.assertIsNone(closest_word("graph", []))
