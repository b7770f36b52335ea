"""Resolves what tasks say they need into ids, and holds the result against the graph's rules."""

import fnmatch
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from helios.domain.ids import TaskId
from helios.domain.workflow.graph import Graph, GraphProblem, build_graph
from helios.services.projects.fanout import Expansion, Instance
from helios.services.projects.findings import Findings, Spot, quoted
from helios.services.projects.task_ids import normal

MOST_LINKS = 1_000_000

Needs = dict[TaskId, tuple[TaskId, ...]]

_WILD = re.compile(r"[*?\[]")
_SHOWN_OF_CYCLE = 8


def resolve_needs(expansion: Expansion, findings: Findings) -> Needs:
    """What each task waits for, in the order it was written; a glob's tasks in theirs.

    Unknown needs, globs without a match and circles are noted.
    """
    resolver = _Resolver(expansion, findings)
    places: dict[TaskId, list[tuple[Spot, tuple[TaskId, ...]]]] = {}
    needs: Needs = {}
    links = 0
    for instance in expansion.instances:
        found = list(resolver.of(instance))
        places[instance.id] = found
        needs[instance.id] = tuple(dict.fromkeys(need for _, ids in found for need in ids))
        links += len(needs[instance.id])
        if links > MOST_LINKS:
            message = f"the needs make more than {MOST_LINKS:,} links between tasks"
            hint = "Put one task between the two groups: it needs the first, the second needs it."
            findings.add(instance.spot("needs"), message, hint)
            return {}
    graph = build_graph(needs)
    if not isinstance(graph, Graph):
        for problem in graph:
            _note(problem, places[problem.task], findings)
    return needs


class _Resolver:
    def __init__(self, expansion: Expansion, findings: Findings) -> None:
        self._findings = findings
        self._families = expansion.families
        self._uncertain = expansion.uncertain
        self._order = {instance.id: place for place, instance in enumerate(expansion.instances)}
        self._sorted = sorted(self._order)
        self._names = dict.fromkeys((*self._families, *self._order))
        self._globs: dict[str, tuple[TaskId, ...]] = {}

    def of(self, instance: Instance) -> Iterable[tuple[Spot, tuple[TaskId, ...]]]:
        """The place of each need and the tasks it means."""
        for node in instance.needs():
            need = normal(instance.filled(node.text, node, self._findings).strip())
            if ids := self._meant(need, instance):
                yield node, ids
            elif not self._may_be_hidden(need):
                self._complain(need, instance, node)

    def _meant(self, need: str, instance: Instance) -> tuple[TaskId, ...]:
        if need in self._order:
            return (TaskId(need),)
        if need in self._families:
            return self._families[need]
        if not _WILD.search(need):
            return ()
        own = self._families[instance.family]
        return tuple(task for task in self._matching(need) if task not in own)

    def _matching(self, glob: str) -> tuple[TaskId, ...]:
        """The tasks a glob matches, in order of definition."""
        if glob not in self._globs:
            prefix = _WILD.split(glob, maxsplit=1)[0]
            start = bisect_left(self._sorted, prefix)
            end = bisect_right(self._sorted, prefix + "\U0010ffff")
            match = re.compile(fnmatch.translate(glob)).match
            found = (task for task in self._sorted[start:end] if match(task))
            self._globs[glob] = tuple(sorted(found, key=self._order.__getitem__))
        return self._globs[glob]

    def _may_be_hidden(self, need: str) -> bool:
        """Whether it could be a part of a task whose own mistakes keep it from being known."""
        start = _WILD.split(need, maxsplit=1)[0]
        if start != need:
            return any(task.startswith(start) or start.startswith(task) for task in self._uncertain)
        return any(need == task or need.startswith(f"{task}-") for task in self._uncertain)

    def _complain(self, need: str, instance: Instance, spot: Spot) -> None:
        if _WILD.search(need):
            message = f"the glob {quoted(need)} matches no other task"
            self._findings.add(spot, message)
            return
        hint = self._findings.suggest(need, self._names)
        name = instance.family
        self._findings.add(
            spot, f"task {quoted(name)} needs {quoted(need)}, which is no task", hint
        )


def _note(
    problem: GraphProblem,
    places: list[tuple[Spot, tuple[TaskId, ...]]],
    findings: Findings,
) -> None:
    spot = next((spot for spot, ids in places if problem.need in ids), None)
    findings.add(spot, _shortened(problem.message), problem.hint)


def _shortened(message: str) -> str:
    """The path of a large circle with its middle left out."""
    steps = message.split(" -> ")
    if len(steps) > _SHOWN_OF_CYCLE:
        left_out = len(steps) - _SHOWN_OF_CYCLE
        half = _SHOWN_OF_CYCLE // 2
        steps = [*steps[:half], f"({left_out} more)", *steps[-half:]]
    return " -> ".join(steps)
