"""Tasks that may change the same files, and no one of them waits for the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise

from helios.domain.ids import TaskId
from helios.domain.workflow.graph import Graph

_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two tasks that both may change what `glob` names, at the same time."""

    first: TaskId
    second: TaskId
    glob: str


def overlaps(
    graph: Graph, editable: Mapping[TaskId, Sequence[str]], *, most: int = 5
) -> tuple[Overlap, ...]:
    """Tasks whose results may not merge, one pair for each glob, up to `most` pairs.

    Globs meet where one covers the other: `src/*` and `src/a.py`, not `src/*` and `*.py`.

    Args:
        graph: who waits for whom.
        editable: for each task that changes files, what it may change.
        most: where to stop.
    """
    by_glob: dict[str, set[TaskId]] = {}
    for task, globs in editable.items():
        for glob in globs:
            by_glob.setdefault(glob, set()).add(task)
    place = {task: number for number, task in enumerate(graph.order)}
    found: dict[tuple[TaskId, TaskId], Overlap] = {}
    for glob, tasks in _with_covering(by_glob).items():
        pair = _beside_each_other(graph, sorted(tasks, key=place.__getitem__))
        if pair:
            found.setdefault(pair, Overlap(*pair, glob))
        if len(found) == most:
            break
    return tuple(found.values())


def _with_covering(by_glob: Mapping[str, set[TaskId]]) -> dict[str, set[TaskId]]:
    """For each glob its tasks, and those of the globs that cover it."""
    by_start: dict[str, list[str]] = {}
    for glob in by_glob:
        wild = next((n for n, letter in enumerate(glob) if letter in _WILD), None)
        if wild is not None:
            by_start.setdefault(glob[:wild], []).append(glob)
    covered: dict[str, set[TaskId]] = {}
    for glob, tasks in by_glob.items():
        starts = (by_start.get(glob[:end], ()) for end in range(len(glob) + 1))
        wider = (one for some in starts for one in some if fnmatchcase(glob, one))
        covered[glob] = tasks.union(*(by_glob[one] for one in wider))
    return covered


def _beside_each_other(graph: Graph, tasks: Sequence[TaskId]) -> tuple[TaskId, TaskId] | None:
    """The first two of tasks in topological order that do not wait for each other.

    If each waits for the one before it, all of them are in a row.
    """
    for one, next_one in pairwise(tasks):
        if one not in graph.needs[next_one] and next_one not in graph.downstream(one):
            return one, next_one
    return None
