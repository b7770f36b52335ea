"""Shortest paths in a directed graph with weights that are not negative (Dijkstra)."""

from collections.abc import Mapping
from heapq import heappop, heappush

Graph = Mapping[str, Mapping[str, int]]


def shortest_distances(graph: Graph, source: str) -> dict[str, int]:
    """Return the length of the shortest path from the source to every node it reaches."""
    return _search(graph, source)[0]


def shortest_path(graph: Graph, source: str, target: str) -> list[str] | None:
    """Return the nodes on a shortest path, both ends included, or None if there is no path."""
    best, previous = _search(graph, source)
    if target not in best:
        return None
    path = [target]
    while path[-1] != source:
        path.append(previous[path[-1]])
    path.reverse()
    return path


def _search(graph: Graph, source: str) -> tuple[dict[str, int], dict[str, str]]:
    """Return each reached node's distance, and the node before it on a shortest path."""
    best = {source: 0}
    previous: dict[str, str] = {}
    queue = [(0, source)]
    while queue:
        distance, node = heappop(queue)
        if distance > best[node]:
            continue
        for neighbour, weight in graph.get(node, {}).items():
            if weight < 0:
                raise ValueError(f"the edge from {node} to {neighbour} has a negative weight")
            if neighbour not in best:
                best[neighbour] = distance + weight
                previous[neighbour] = node
                heappush(queue, (best[neighbour], neighbour))
    return best, previous
