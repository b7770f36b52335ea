"""Tests of algorithms.lru."""

import unittest

from algorithms.lru import LruCache


def filled() -> LruCache[str, int]:
    """Return a full cache of three entries, written in the order a, b, c."""
    cache: LruCache[str, int] = LruCache(3)
    for value, key in enumerate("abc", start=1):
        cache.put(key, value)
    return cache


class LruTests(unittest.TestCase):
    """What the cache keeps and what it drops."""

    def test_get(self) -> None:
        cache = filled()
        self.assertEqual([cache.get(key) for key in "abcd"], [1, 2, 3, None])

    def test_the_oldest_entry_is_dropped(self) -> None:
        cache = filled()
        cache.put("d", 4)
        self.assertNotIn("a", cache)
        self.assertEqual(len(cache), 3)

    def test_an_entry_written_again_is_kept(self) -> None:
        cache = filled()
        cache.put("a", 10)
        cache.put("d", 4)
        self.assertNotIn("b", cache)
        self.assertEqual(cache.get("a"), 10)

    def test_an_entry_read_again_is_kept(self) -> None:
        cache = filled()
        cache.get("a")
        cache.put("d", 4)
        self.assertIn("a", cache)
        self.assertNotIn("b", cache)

    def test_entries_are_dropped_in_the_order_of_their_use(self) -> None:
        cache = filled()
        cache.get("b")
        cache.get("a")
        cache.put("d", 4)
        cache.put("e", 5)
        self.assertEqual([key for key in "abcde" if key in cache], ["a", "d", "e"])

    def test_asking_for_a_key_is_not_a_use(self) -> None:
        cache = filled()
        self.assertIn("a", cache)
        cache.put("d", 4)
        self.assertNotIn("a", cache)

    def test_a_capacity_below_one_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            LruCache(0)
