"""A binary min-heap: the smallest item is always at hand."""

from collections.abc import Iterable


class MinHeap:
    """A list in which every item is at most as large as its children at 2i + 1 and 2i + 2."""

    def __init__(self, items: Iterable[int] = ()) -> None:
        self._items = list(items)
        for position in range(len(self._items) // 2 - 1, -1, -1):
            self._sift_down(position)

    def __len__(self) -> int:
        return len(self._items)

    def push(self, item: int) -> None:
        """Add an item."""
        self._items.append(item)
        position = len(self._items) - 1
        while position > 0:
            parent = (position - 1) // 2
            if self._items[parent] <= self._items[position]:
                break
            self._swap(parent, position)
            position = parent

    def pop(self) -> int:
        """Remove and return the smallest item; raise IndexError if there is none."""
        if not self._items:
            raise IndexError("the heap is empty")
        self._swap(0, len(self._items) - 1)
        smallest = self._items.pop()
        self._sift_down(0)
        return smallest

    def _sift_down(self, position: int) -> None:
        """Move the item at a position down until no child is smaller."""
        items = self._items
        while (left := 2 * position + 1) < len(items):
            child, right = left, left + 1
            if right < len(items) and items[right] < items[position]:
                child = right
            if items[position] <= items[child]:
                break
            self._swap(position, child)
            position = child

    def _swap(self, first: int, second: int) -> None:
        items = self._items
        items[first], items[second] = items[second], items[first]
