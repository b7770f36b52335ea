"""Tests of algorithms.heap."""

import unittest
from collections.abc import Iterable

from algorithms.heap import MinHeap


def drained(items: Iterable[int]) -> list[int]:
    """Return the items in the order in which a heap gives them back."""
    heap = MinHeap(items)
    return [heap.pop() for _ in range(len(heap))]


class HeapTests(unittest.TestCase):
    """Pushing, popping and building."""

    def test_push_then_pop_two(self) -> None:
        heap = MinHeap()
        heap.push(8)
        heap.push(3)
        self.assertEqual([heap.pop(), heap.pop()], [3, 8])

    def test_length(self) -> None:
        heap = MinHeap([4, 1])
        heap.push(2)
        self.assertEqual(len(heap), 3)

    def test_an_empty_heap(self) -> None:
        self.assertEqual(len(MinHeap()), 0)
        with self.assertRaises(IndexError):
            MinHeap().pop()

    def test_built_from_three(self) -> None:
        self.assertEqual(drained([3, 1, 2]), [1, 2, 3])

    def test_items_come_back_in_order(self) -> None:
        self.assertEqual(drained([9, 4, 7, 1, 8, 2, 6, 3, 5]), [1, 2, 3, 4, 5, 6, 7, 8, 9])

    def test_equal_items(self) -> None:
        self.assertEqual(drained([5, 5, 5]), [5, 5, 5])
        self.assertEqual(drained([2, 1, 2, 1, 1]), [1, 1, 1, 2, 2])

    def test_pushes_and_pops_in_turn(self) -> None:
        heap = MinHeap([10, 20, 30])
        heap.push(5)
        self.assertEqual(heap.pop(), 5)
        heap.push(15)
        self.assertEqual([heap.pop() for _ in range(4)], [10, 15, 20, 30])

    def test_the_argument_is_not_changed(self) -> None:
        items = [3, 2, 1]
        MinHeap(items).pop()
        self.assertEqual(items, [3, 2, 1])
