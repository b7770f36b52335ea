"""Turns the tasks of the file into the tasks of the project: one for each value of `each`."""

import re
from collections.abc import Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass

from helios.domain.ids import TaskId
from helios.services.projects.file_model import ProjectFile, TaskFile
from helios.services.projects.findings import Findings, Spot, quoted
from helios.services.projects.strict_yaml import Entry, Mapping, Node, Scalar, Sequence
from helios.services.projects.task_ids import as_suffix, fault, normal

MOST_TASKS = 10_000
MOST_TEXT = 50_000_000

_PLACEHOLDER = re.compile(r"(?<!\$)\{item(?:\.([^{}\s]+))?\}")
"""Not preceded by a dollar, so that a shell's own ${item} stays what it is."""

Value = str | Map[str, str]


@dataclass(frozen=True, slots=True)
class Instance:
    """A task of the project to be: where it was written, and with which value of `each`."""

    id: TaskId
    family: str
    file: TaskFile
    entry: Entry
    value: Value | None = None

    def filled(self, text: str, spot: Spot, findings: Findings) -> str:
        """The text with the value in the places of {item} and {item.key}."""
        value = self.value
        if value is None or "{item" not in text:
            return text

        def put(match: re.Match[str]) -> str:
            key = match.group(1)
            if isinstance(value, str) and key is None:
                return value
            if not isinstance(value, str) and key in value:
                return value[key]
            _complain(key, value, spot, findings)
            return match.group()

        return _PLACEHOLDER.sub(put, text)

    def needs(self) -> Iterable[Scalar]:
        """The places of what the task says it needs, whatever else is wrong in the list."""
        task = self.entry.value
        given = task.entries.get("needs") if isinstance(task, Mapping) else None
        if given is None:
            return
        for node in given.value.items if isinstance(given.value, Sequence) else (given.value,):
            if isinstance(node, Scalar) and isinstance(node.value, str) and node.text.strip():
                yield node

    def spot(self, key: str, index: int | None = None) -> Spot:
        """Where a key of the task stands, or one of the values of its list."""
        task = self.entry.value
        if not isinstance(task, Mapping) or key not in task.entries:
            return self.entry.key
        entry = task.entries[key]
        if index is not None and isinstance(entry.value, Sequence):
            return entry.value.items[index]
        return entry.spot


@dataclass(frozen=True, slots=True)
class Expansion:
    """All tasks in order of definition, and the parts of each task of the file.

    `uncertain` are the tasks of the file whose parts are not all known, because they are wrong.
    """

    instances: tuple[Instance, ...]
    families: Map[str, tuple[TaskId, ...]]
    uncertain: frozenset[str] = frozenset()


def expand(file: ProjectFile, root: Mapping, findings: Findings) -> Expansion:
    """The tasks of the project; ids that cannot be and tasks too many are noted."""
    tasks = root.entries.get("tasks")
    if tasks is None or not isinstance(tasks.value, Mapping):
        return Expansion((), {})
    entries = tasks.value.entries
    if not entries:
        findings.add(tasks.spot, "there are no tasks", "Add at least one under `tasks`.")
    count = sum(len(task.each) or 1 for task in file.tasks.values())
    if count > MOST_TASKS:
        message = f"{count:,} tasks are too many, at most {MOST_TASKS:,} are allowed"
        findings.add(tasks.key, message, "Split the project.")
        return Expansion((), {})
    families: dict[str, tuple[TaskId, ...]] = {}
    instances: dict[TaskId, Instance] = {}
    uncertain: set[str] = set()
    defined = {normal(key): entry for key, entry in entries.items()}
    for key, task in file.tasks.items():
        of_family, whole = _family(key, task, entries[key], findings)
        if not whole:
            uncertain.add(normal(key))
        for instance in of_family:
            _refuse_twin(instance, instances, defined, findings)
            instances.setdefault(instance.id, instance)
        families[normal(key)] = tuple(instance.id for instance in of_family)
    return Expansion(tuple(instances.values()), families, frozenset(uncertain))


def _family(
    key: str, task: TaskFile, entry: Entry, findings: Findings
) -> tuple[list[Instance], bool]:
    base = normal(key)
    if problem := fault(base):
        findings.add(entry.key, problem)
    given = entry.value.entries.get("each") if isinstance(entry.value, Mapping) else None
    if given is None:
        known = isinstance(entry.value, Mapping)
        return [Instance(TaskId(base), base, task, entry)], known
    if not task.each or not isinstance(given.value, Sequence):
        return [Instance(TaskId(base), base, task, entry)], False
    if _size(task) * len(task.each) > MOST_TEXT:
        hint = "Keep the long text in a file and name the file in the prompt."
        findings.add(given.key, "the tasks of this `each` would be over 50 MB of text", hint)
        return [], False
    made = [_instance(base, task, entry, item, findings) for item in given.value.items]
    found = [each for each in made if each is not None]
    kinds = {isinstance(each.value, str) for each in found}
    if len(kinds) > 1:
        findings.add(given.spot, "the values of `each` must be all plain or all mappings")
    return found, len(found) == len(made)


def _size(task: TaskFile) -> int:
    texts = (task.prompt, task.run, *task.files, *task.editable, *task.needs)
    gates = sum(len(gate.run) for gate in task.gates)
    return sum(len(text) for text in texts) + gates


def _instance(
    base: str, task: TaskFile, entry: Entry, item: Node, findings: Findings
) -> Instance | None:
    value: Value
    if isinstance(item, Mapping):
        value = {
            key: each.value.text
            for key, each in item.entries.items()
            if isinstance(each.value, Scalar)
        }
        first = next(iter(value.values()), "")
    else:
        value = first = item.text if isinstance(item, Scalar) else ""
    suffix = normal(as_suffix(first))
    if not suffix:
        message = f"{quoted(first)} gives the task no id: it has no letter and no digit"
        hint = "Use a mapping whose first value is a short name."
        findings.add(item, message, hint)
        return None
    task_id = f"{base}-{suffix}"
    problem = fault(task_id)
    if problem and not fault(base):
        hint = "Use a mapping whose first value is a short name."
        findings.add(item, f"{quoted(task_id)}: {problem}", hint)
    return Instance(TaskId(task_id), base, task, entry, value)


def _refuse_twin(
    instance: Instance,
    instances: Map[TaskId, Instance],
    defined: Map[str, Entry],
    findings: Findings,
) -> None:
    """Note an id that two tasks would share."""
    other = instances.get(instance.id)
    entry = other.entry if other else defined.get(instance.id)
    if entry is None or (entry is instance.entry and instance.value is None and other is None):
        return
    here = instance.spot("each") if instance.value is not None else instance.entry.key
    message = f"two tasks would have the id {quoted(instance.id)}"
    if entry is instance.entry:
        findings.add(here, message, "Make the values of `each` differ in letters or digits.")
    else:
        where = f"the other is defined on line {entry.key.line}"
        findings.add(here, f"{message}: {where}", "Rename one of them.")


def _complain(key: str | None, value: Value, spot: Spot, findings: Findings) -> None:
    if isinstance(value, str):
        message = f"{{item.{key}}} asks for a key, but the values of `each` are plain"
        findings.add(spot, message, "Write {item}.")
        return
    keys = ", ".join(f"{{item.{each}}}" for each in value)
    if key is None:
        findings.add(spot, "{item} is a mapping here: say which value", f"There are {keys}.")
    else:
        hint = findings.suggest(key, value) or f"There are {keys}."
        findings.add(spot, f"{{item.{key}}}: the values of `each` have no such key", hint)
