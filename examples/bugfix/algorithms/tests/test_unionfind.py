"""Tests of algorithms.unionfind."""

import unittest

from algorithms.unionfind import DisjointSets


class UnionFindTests(unittest.TestCase):
    """Joining groups and asking about them."""

    def test_at_first_everyone_is_alone(self) -> None:
        sets = DisjointSets("abc")
        self.assertFalse(sets.connected("a", "b"))
        self.assertTrue(sets.connected("a", "a"))
        self.assertEqual(sets.groups(), [{"a"}, {"b"}, {"c"}])

    def test_two_members(self) -> None:
        sets = DisjointSets("abc")
        self.assertTrue(sets.union("a", "b"))
        self.assertTrue(sets.connected("a", "b"))
        self.assertFalse(sets.connected("a", "c"))

    def test_joining_again_changes_nothing(self) -> None:
        sets = DisjointSets("ab")
        sets.union("a", "b")
        self.assertFalse(sets.union("b", "a"))

    def test_a_single_member_joins_a_group(self) -> None:
        sets = DisjointSets("abcd")
        sets.union("a", "b")
        sets.union("c", "b")
        self.assertTrue(sets.connected("c", "a"))
        self.assertEqual(sets.groups(), [{"a", "b", "c"}, {"d"}])

    def test_two_groups_are_joined_through_their_last_members(self) -> None:
        sets = DisjointSets("abcd")
        sets.union("a", "b")
        sets.union("c", "d")
        sets.union("b", "d")
        self.assertEqual(sets.groups(), [{"a", "b", "c", "d"}])

    def test_a_long_chain_is_one_group(self) -> None:
        sets = DisjointSets(range(100))
        for number in range(99):
            sets.union(number + 1, number)
        self.assertTrue(sets.connected(0, 99))
        self.assertEqual(len(sets.groups()), 1)

    def test_an_unknown_member(self) -> None:
        with self.assertRaises(KeyError):
            DisjointSets("ab").find("z")
