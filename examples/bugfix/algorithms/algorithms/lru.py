"""A cache of limited size that drops the entry unused for the longest time."""

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class LruCache(Generic[Key, Value]):
    """Keep at most `capacity` entries; reading or writing an entry counts as using it."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("the capacity must be at least 1")
        self._capacity = capacity
        self._entries: OrderedDict[Key, Value] = OrderedDict()  # least recently used first

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        """Tell whether the key is held; asking does not count as a use."""
        return key in self._entries

    def get(self, key: Key) -> Value | None:
        """Return the key's value, or None if it is not held."""
        if key not in self._entries:
            return None
        return self._entries[key]

    def put(self, key: Key, value: Value) -> None:
        """Set the key's value, and drop the least recently used entry if there are too many."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
