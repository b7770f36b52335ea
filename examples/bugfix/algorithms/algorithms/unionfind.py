"""Disjoint sets: join groups, and ask whether two members are in the same group."""

from collections.abc import Hashable, Iterable


class DisjointSets:
    """A forest in which every group is a tree, named by its root."""

    def __init__(self, members: Iterable[Hashable]) -> None:
        """Start with every member in a group of its own."""
        self._parent: dict[Hashable, Hashable] = {member: member for member in members}
        self._size: dict[Hashable, int] = dict.fromkeys(self._parent, 1)

    def find(self, member: Hashable) -> Hashable:
        """Return the root of the member's group, and shorten the way to it."""
        while self._parent[member] != member:
            self._parent[member] = self._parent[self._parent[member]]
            member = self._parent[member]
        return member

    def connected(self, left: Hashable, right: Hashable) -> bool:
        """Tell whether two members are in the same group."""
        return self.find(left) == self.find(right)

    def union(self, left: Hashable, right: Hashable) -> bool:
        """Join the groups of two members; return False if they were in the same group."""
        large, small = self.find(left), self.find(right)
        if large == small:
            return False
        if self._size[large] < self._size[small]:
            large, small = small, large
        self._parent[right] = large
        self._size[large] += self._size[small]
        return True

    def groups(self) -> list[set[Hashable]]:
        """Return all groups, the largest first."""
        by_root: dict[Hashable, set[Hashable]] = {}
        for member in self._parent:
            by_root.setdefault(self.find(member), set()).add(member)
        return sorted(by_root.values(), key=len, reverse=True)
