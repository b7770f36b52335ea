"""Tests of algorithms.knapsack."""

import unittest

from algorithms.knapsack import Item, Packing, pack

LAPTOP = Item("laptop", weight=3, value=20)
GUITAR = Item("guitar", weight=1, value=15)
STEREO = Item("stereo", weight=4, value=30)


class KnapsackTests(unittest.TestCase):
    """Values and chosen items."""

    def test_the_only_item_fits_once(self) -> None:
        self.assertEqual(pack([LAPTOP], 5), Packing(20, ("laptop",)))

    def test_nothing_fits(self) -> None:
        self.assertEqual(pack([LAPTOP, STEREO], 2), Packing(0, ()))
        self.assertEqual(pack([], 10), Packing(0, ()))
        self.assertEqual(pack([GUITAR], 0), Packing(0, ()))

    def test_an_item_is_taken_at_most_once(self) -> None:
        self.assertEqual(pack([GUITAR, STEREO, LAPTOP], 4), Packing(35, ("guitar", "laptop")))

    def test_everything_fits_with_room_to_spare(self) -> None:
        self.assertEqual(
            pack([LAPTOP, GUITAR, STEREO], 100), Packing(65, ("laptop", "guitar", "stereo"))
        )

    def test_two_middling_items_beat_one_valuable_item(self) -> None:
        items = [Item("gold", 6, 50), Item("tin", 5, 30), Item("zinc", 5, 30)]
        self.assertEqual(pack(items, 10), Packing(60, ("tin", "zinc")))

    def test_wrong_arguments_are_refused(self) -> None:
        with self.assertRaises(ValueError):
            pack([LAPTOP], -1)
        with self.assertRaises(ValueError):
            pack([Item("feather", 0, 1)], 5)
