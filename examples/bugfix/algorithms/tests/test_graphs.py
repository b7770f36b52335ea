"""Tests of algorithms.graphs."""

import unittest

from algorithms.graphs import shortest_distances, shortest_path

CHAIN = {"a": {"b": 2}, "b": {"c": 3}, "c": {}, "z": {"a": 1}}
DETOUR = {"a": {"b": 10, "c": 1}, "b": {"d": 1}, "c": {"b": 2}, "d": {}}


class GraphTests(unittest.TestCase):
    """Distances and paths."""

    def test_distances_along_a_chain(self) -> None:
        self.assertEqual(shortest_distances(CHAIN, "a"), {"a": 0, "b": 2, "c": 5})

    def test_path_along_a_chain(self) -> None:
        self.assertEqual(shortest_path(CHAIN, "a", "c"), ["a", "b", "c"])

    def test_a_node_is_its_own_path(self) -> None:
        self.assertEqual(shortest_path(CHAIN, "b", "b"), ["b"])

    def test_no_path(self) -> None:
        self.assertIsNone(shortest_path(CHAIN, "a", "z"))

    def test_a_node_without_an_entry_has_no_edges(self) -> None:
        self.assertEqual(shortest_distances({"a": {"b": 4}}, "a"), {"a": 0, "b": 4})

    def test_a_detour_that_is_shorter(self) -> None:
        self.assertEqual(shortest_distances(DETOUR, "a"), {"a": 0, "b": 3, "c": 1, "d": 4})
        self.assertEqual(shortest_path(DETOUR, "a", "d"), ["a", "c", "b", "d"])

    def test_a_distance_that_becomes_shorter_twice(self) -> None:
        graph = {"s": {"t": 20, "u": 1}, "u": {"t": 12, "v": 1}, "v": {"t": 3}}
        self.assertEqual(shortest_distances(graph, "s")["t"], 5)

    def test_a_cycle_ends(self) -> None:
        graph = {"a": {"b": 1}, "b": {"a": 1, "b": 0}}
        self.assertEqual(shortest_distances(graph, "a"), {"a": 0, "b": 1})

    def test_a_negative_weight_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            shortest_distances({"a": {"b": -1}}, "a")
