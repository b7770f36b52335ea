"""Which module of a repository imports which, and where they go round in circles."""

import ast
import sys
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import PurePosixPath

from helios.codebase.syntax import Source, dotted_name

Graph = Mapping[str, Mapping[str, int]]
"""For each module the modules it imports, with the line of the first import."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A name that an import asks for; `level` counts the dots of a relative one."""

    name: str
    line: int
    level: int = 0


@dataclass(frozen=True, slots=True)
class _Module:
    """A file as a module. `root` is the folder Python would look in to find it as `spoken`."""

    name: str
    spoken: str
    root: str
    is_package: bool


def module_names(paths: Iterable[str]) -> dict[str, str]:
    """A dotted name for each file, from the root of the repository without a leading `src`."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for path in sorted(paths):
        whole = path.removesuffix(".py").replace("/", ".")
        name = whole.removeprefix("src.").removesuffix(".__init__")
        names[path] = whole if name in taken else name
        taken.add(names[path])
    return names


def read_imports(source: Source) -> tuple[Imported, ...]:
    """What a file imports wherever in it, but for what only type checkers see."""
    unseen = _for_type_checkers(source)
    plain = [
        Imported(alias.name, node.lineno)
        for node in source.of(ast.Import) if id(node) not in unseen
        for alias in node.names
    ]  # fmt: skip
    named = [
        Imported(".".join(filter(None, (node.module, alias.name))), node.lineno, node.level)
        for node in source.of(ast.ImportFrom) if id(node) not in unseen
        for alias in node.names
    ]  # fmt: skip
    return (*plain, *named)


def import_graph(imports: Mapping[str, Sequence[Imported]], names: Mapping[str, str]) -> Graph:
    """The imports inside a repository.

    Args:
        imports: what each file imports that could be parsed, by path.
        names: the names of all files, as `module_names` gives them.
    """
    modules = _Modules(names)
    return {names[path]: modules.imported_by(path, imports[path]) for path in sorted(imports)}


def circles(graph: Graph) -> list[list[str]]:
    """A shortest circle of each knot of modules that import each other, in order of names."""
    found = []
    left = _knotted(graph)
    while left:
        start = min(left)
        circle = _shortest_circle(graph, start)
        if circle:
            found.append(circle)
            left -= _reachable(graph, start) & _reachable(_reversed(graph), start)
        left.discard(start)
    return found


class _Modules:
    """The modules of a repository, found by the names that importers use."""

    def __init__(self, names: Mapping[str, str]) -> None:
        packages = {str(PurePosixPath(path).parent) for path in names
                    if path.endswith("__init__.py")}  # fmt: skip
        self._by_path = {path: _module(path, name, packages) for path, name in names.items()}
        self._by_name = {module.name: module for module in self._by_path.values()}
        self._spoken: dict[str, list[_Module]] = defaultdict(list)
        for module in self._by_path.values():
            self._spoken[module.spoken].append(module)

    def imported_by(self, path: str, imports: Sequence[Imported]) -> dict[str, int]:
        """The modules of the repository among these imports of a file, in order of names."""
        importer = self._by_path[path]
        lines: dict[str, int] = {}
        for imported in imports:
            module = self._find(_absolute(imported, importer), importer)
            if module and module != importer:
                lines[module.name] = min(imported.line, lines.get(module.name, imported.line))
        return dict(sorted(lines.items()))

    def _find(self, name: str, importer: _Module) -> _Module | None:
        """The module of this name, or the one that holds a thing of this name."""
        parts = name.split(".")
        for length in range(len(parts), 0, -1):
            wanted = ".".join(parts[:length])
            candidates = [
                module for module in self._spoken.get(wanted, ())
                if _sees(importer, module) or wanted.split(".")[0] not in sys.stdlib_module_names
            ]  # fmt: skip
            near = [module for module in candidates if _sees(importer, module)]
            if near:
                return max(near, key=lambda module: len(module.root))
            if len(candidates) == 1:
                return candidates[0]
            if wanted in self._by_name:
                return self._by_name[wanted]
        return None


def _module(path: str, name: str, packages: Set[str]) -> _Module:
    folder = PurePosixPath(path).parent
    while str(folder) in packages and folder.name:
        folder = folder.parent
    root = "" if str(folder) == "." else str(folder)
    inner = path[len(root) + 1 :] if root else path
    spoken = ".".join(PurePosixPath(inner).with_suffix("").parts).removesuffix(".__init__")
    return _Module(name, spoken or name, root, path.endswith("__init__.py"))


def _sees(importer: _Module, module: _Module) -> bool:
    """Whether a module's root is the importer's own or a folder above it."""
    return f"{importer.root}/".startswith(f"{module.root}/") or not module.root


def _absolute(imported: Imported, importer: _Module) -> str:
    if not imported.level:
        return imported.name
    up = imported.level - 1 if importer.is_package else imported.level
    parts = importer.spoken.split(".")
    return ".".join([*parts[: len(parts) - up], imported.name])


def _for_type_checkers(source: Source) -> set[int]:
    """The nodes under `if TYPE_CHECKING:`, which never run."""
    return {
        id(inner)
        for node in source.of(ast.If)
        if isinstance(node.test, ast.Name | ast.Attribute)
        and dotted_name(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }


def _reversed(graph: Graph) -> Graph:
    backwards: dict[str, dict[str, int]] = defaultdict(dict)
    for module, targets in graph.items():
        for target, line in targets.items():
            backwards[target][module] = line
    return backwards


def _knotted(graph: Graph) -> set[str]:
    """What is left when modules that import or are imported by nothing left are taken away."""
    left = set(graph)
    backwards = _reversed(graph)
    waiting = deque(sorted(left))
    while waiting:
        module = waiting.popleft()
        out, back = graph.get(module, {}), backwards.get(module, {})
        if module in left and not (left.intersection(out) and left.intersection(back)):
            left.discard(module)
            waiting.extend((*out, *back))
    return left


def _reachable(graph: Graph, start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for target in graph.get(waiting.pop(), {}):
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


def _shortest_circle(graph: Graph, start: str) -> list[str]:
    """The modules on a shortest way from a module back to itself; none when there is no way."""
    came_from: dict[str, str] = {}
    waiting = deque([start])
    while waiting:
        module = waiting.popleft()
        for target in graph.get(module, {}):
            if target == start:
                return _way(came_from, start, module)
            if target not in came_from:
                came_from[target] = module
                waiting.append(target)
    return []


def _way(came_from: Mapping[str, str], start: str, end: str) -> list[str]:
    way = [end]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]
