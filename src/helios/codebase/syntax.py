"""A Python file taken apart once, so that every rule need not walk the tree again."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar, cast

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Node = TypeVar("Node", bound=ast.AST)

_BLOCKS = frozenset({"body", "orelse", "finalbody"})
_UNINTERESTING = (ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)


@dataclass(slots=True)
class Function:
    """A function, where it stands and what is in it (without what inner functions hold)."""

    node: FunctionNode
    outer: "Function | None"
    classes: tuple[str, ...]
    own: list[ast.AST] = field(default_factory=list[ast.AST])

    def of(self, *kinds: type[Node]) -> Iterator[Node]:
        """Its own nodes of these kinds."""
        return (node for node in self.own if isinstance(node, kinds))


@dataclass(slots=True)
class Source:
    """A parsed file. `path` is relative to the repository, in posix form."""

    path: str
    tree: ast.Module
    functions: list[Function] = field(default_factory=list[Function])
    blocks: list[list[ast.stmt]] = field(default_factory=list[list[ast.stmt]])
    nodes: dict[type[ast.AST], list[ast.AST]] = field(
        default_factory=lambda: defaultdict[type[ast.AST], list[ast.AST]](list)
    )

    def of(self, kind: type[Node]) -> list[Node]:
        """All nodes of exactly this kind."""
        return cast("list[Node]", self.nodes.get(kind, []))

    @property
    def is_package(self) -> bool:
        """Whether it is a package's `__init__.py`."""
        return self.path.rpartition("/")[2] == "__init__.py"

    @property
    def is_test(self) -> bool:
        """Whether it holds tests."""
        *folders, name = self.path.split("/")
        return name.startswith(("test_", "conftest")) or bool({"test", "tests"} & set(folders))


def dotted_name(node: ast.expr) -> str:
    """`a.b.c` as it is written; nothing for any other expression."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def read_source(path: str, tree: ast.Module) -> Source:
    """Take a parsed file apart."""
    source = Source(path, tree)
    waiting: list[tuple[ast.AST, Function | None, tuple[str, ...]]] = [(tree, None, ())]
    while waiting:
        node, owner, classes = waiting.pop()
        source.nodes[type(node)].append(node)
        if owner:
            owner.own.append(node)
        if isinstance(node, FunctionNode):
            owner = Function(node, owner, classes)
            source.functions.append(owner)
            classes = ()
        elif isinstance(node, ast.ClassDef):
            classes = (*classes, node.name)
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                if name in _BLOCKS and value:
                    source.blocks.append(value)
                waiting.extend(
                    (item, owner, classes) for item in value if isinstance(item, ast.AST)
                )
            elif isinstance(value, ast.AST) and not isinstance(value, _UNINTERESTING):
                waiting.append((value, owner, classes))
    return source
