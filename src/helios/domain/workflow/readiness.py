"""Which tasks can start, kept up to date as tasks finish: O(edges) over the life of a run."""

from collections.abc import Iterable

from helios.domain.ids import TaskId
from helios.domain.workflow.graph import Graph


class Readiness:
    """The set of tasks whose needs are all done.

    Feed it what has finished; it answers with what that made ready.
    """

    def __init__(self, graph: Graph, done: Iterable[TaskId] = ()) -> None:
        self._graph = graph
        self._missing = {task: len(of) for task, of in graph.needs.items()}
        self._done: set[TaskId] = set()
        self.ready: dict[TaskId, None] = dict.fromkeys(
            task for task in graph.order if self._missing[task] == 0
        )
        for task in done:
            self.complete(task)

    def complete(self, task: TaskId) -> tuple[TaskId, ...]:
        """Note that a task is done; the tasks that became ready, in order of definition."""
        if task in self._done:
            return ()
        self._done.add(task)
        self.ready.pop(task, None)
        freed: list[TaskId] = []
        for dependent in self._graph.dependents[task]:
            self._missing[dependent] -= 1
            if self._missing[dependent] == 0 and dependent not in self._done:
                self.ready[dependent] = None
                freed.append(dependent)
        return tuple(freed)

    def missing(self, task: TaskId) -> tuple[TaskId, ...]:
        """What this task still waits for."""
        return tuple(need for need in self._graph.needs[task] if need not in self._done)
