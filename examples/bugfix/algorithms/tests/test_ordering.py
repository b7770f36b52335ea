"""Tests of algorithms.ordering."""

import unittest

from algorithms.ordering import CycleError, topological_order


def recipe() -> dict[str, set[str]]:
    """Return a fresh dictionary of tasks."""
    return {"serve": {"bake"}, "bake": {"mix", "heat oven"}, "mix": {"buy"}}


class OrderingTests(unittest.TestCase):
    """Orders, cycles and the caller's data."""

    def test_every_task_comes_after_its_needs(self) -> None:
        self.assertEqual(topological_order(recipe()), ["buy", "heat oven", "mix", "bake", "serve"])

    def test_nothing_to_do(self) -> None:
        self.assertEqual(topological_order({}), [])

    def test_independent_tasks_come_in_alphabetical_order(self) -> None:
        self.assertEqual(topological_order({"b": set(), "c": set(), "a": set()}), ["a", "b", "c"])

    def test_a_shared_need_is_not_a_cycle(self) -> None:
        needs: dict[str, set[str]] = {"top": {"left", "right"}, "left": {"base"}}
        needs["right"] = {"base"}
        self.assertEqual(topological_order(needs), ["base", "left", "right", "top"])

    def test_a_cycle_is_refused_and_named(self) -> None:
        with self.assertRaisesRegex(CycleError, "a, b, c"):
            topological_order({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()})

    def test_a_task_that_needs_itself_is_refused(self) -> None:
        with self.assertRaises(CycleError):
            topological_order({"a": {"a"}})

    def test_the_argument_is_not_changed(self) -> None:
        needs = recipe()
        topological_order(needs)
        self.assertEqual(needs, recipe())

    def test_a_second_call_gives_the_same_order(self) -> None:
        needs = recipe()
        self.assertEqual(topological_order(needs), topological_order(needs))
