"""What a reader would remark on in a Python file: a rule a function, each a few lines."""

import ast
import builtins
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from helios.codebase.control_flow import falls_through, unreachable
from helios.codebase.syntax import Function, Source

Severity = Literal["error", "warning", "info"]

LONGEST_FUNCTION = 60
HIGHEST_COMPLEXITY = 10

_BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("_"))
_MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_MAKERS = frozenset({"list", "dict", "set", "bytearray", "defaultdict", "deque", "Counter"})
_BROAD = frozenset({"Exception", "BaseException"})
_WORD = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing noticed at a line (counted from 1)."""

    line: int
    severity: Severity
    rule: str
    note: str


Rule = Callable[[Source], Iterator[Remark]]


def mutable_default(source: Source) -> Iterator[Remark]:
    """A default value that all calls share and any call may change."""
    for arguments in source.of(ast.arguments):
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default and _is_mutable(default):
                note = "every call shares this default; use None and make a new one inside"
                yield Remark(default.lineno, "warning", "mutable-default", note)


def bare_except(source: Source) -> Iterator[Remark]:
    """`except:` that does not raise again catches even the request to stop."""
    for handler in source.of(ast.ExceptHandler):
        raises = any(isinstance(statement, ast.Raise) for statement in handler.body)
        if handler.type is None and not raises:
            note = "catches everything, also the request to stop; name the exception"
            yield Remark(handler.lineno, "warning", "bare-except", note)


def swallowed_exception(source: Source) -> Iterator[Remark]:
    """Any error at all is caught and nothing is done about it."""
    for handler in source.of(ast.ExceptHandler):
        broad = handler.type is not None and _is_broad(handler.type)
        if broad and all(_does_nothing(statement) for statement in handler.body):
            note = "any error disappears here without a trace"
            yield Remark(handler.lineno, "warning", "swallowed-exception", note)


def none_comparison(source: Source) -> Iterator[Remark]:
    """`==` asks the object, `is` asks whether it is None."""
    for comparison in source.of(ast.Compare):
        sides = [comparison.left, *comparison.comparators]
        for number, operator in enumerate(comparison.ops):
            pair = sides[number : number + 2]
            if isinstance(operator, ast.Eq | ast.NotEq) and any(map(_is_none, pair)):
                word = "is" if isinstance(operator, ast.Eq) else "is not"
                note = f"compare with `{word} None`"
                yield Remark(comparison.lineno, "warning", "none-comparison", note)


def unreachable_code(source: Source) -> Iterator[Remark]:
    """A statement after one that always leaves."""
    for block in source.blocks:
        if statement := unreachable(block):
            note = "never reached: the line before always leaves"
            yield Remark(statement.lineno, "warning", "unreachable-code", note)


def unused_import(source: Source) -> Iterator[Remark]:
    """An imported name that occurs nowhere else; `import x as x` and packages re-export."""
    if source.is_package:
        return
    used = _used_names(source)
    optional = {id(node) for block in source.of(ast.Try) for node in block.body}
    imports: list[ast.Import | ast.ImportFrom] = [
        *source.of(ast.Import),
        *source.of(ast.ImportFrom),
    ]
    for node in imports:
        if id(node) in optional or (isinstance(node, ast.ImportFrom) and _is_future(node)):
            continue
        for alias in node.names:
            bound = alias.asname or alias.name.split(".")[0]
            kept = bound in used or bound.startswith("_") or alias.asname == alias.name
            if not kept and bound != "*":
                note = f"`{bound}` is imported and not used"
                yield Remark(alias.lineno, "warning", "unused-import", note)


def shadowed_builtin(source: Source) -> Iterator[Remark]:
    """A parameter that hides a name Python brings along."""
    for function in source.functions:
        for argument in _arguments(function):
            if argument.arg in _BUILTINS:
                note = f"the parameter `{argument.arg}` hides Python's own"
                yield Remark(argument.lineno, "info", "shadowed-builtin", note)


def long_function(source: Source) -> Iterator[Remark]:
    """More lines than a reader takes in at once."""
    for function in source.functions:
        node = function.node
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > LONGEST_FUNCTION:
            note = f"`{node.name}` has {lines} lines (more than {LONGEST_FUNCTION})"
            yield Remark(node.lineno, "warning", "long-function", note)


def complex_function(source: Source) -> Iterator[Remark]:
    """More paths than a reader can follow (McCabe's number)."""
    for function in source.functions:
        number = 1 + sum(_paths(node) for node in function.own)
        if number > HIGHEST_COMPLEXITY:
            name = function.node.name
            note = f"`{name}` has complexity {number} (more than {HIGHEST_COMPLEXITY})"
            yield Remark(function.node.lineno, "warning", "complex-function", note)


def missing_docstring(source: Source) -> Iterator[Remark]:
    """A function others call, without a word about what it promises."""
    if source.is_test:
        return
    for function in source.functions:
        names = (*function.classes, function.node.name)
        public = function.outer is None and not any(name.startswith("_") for name in names)
        if public and not _is_variant(function) and _undocumented(function):
            note = f"`{'.'.join(names)}` is public and has no docstring"
            yield Remark(function.node.lineno, "info", "missing-docstring", note)


def empty_fstring(source: Source) -> Iterator[Remark]:
    """An f-string that puts nothing in."""
    specs = {id(value.format_spec) for value in source.of(ast.FormattedValue)}
    for text in source.of(ast.JoinedStr):
        filled = any(isinstance(value, ast.FormattedValue) for value in text.values)
        if not filled and id(text) not in specs:
            note = "an f-string without a placeholder; drop the f or put the value in"
            yield Remark(text.lineno, "info", "empty-fstring", note)


def tuple_assert(source: Source) -> Iterator[Remark]:
    """A tuple is always true, so the assertion says nothing."""
    for assertion in source.of(ast.Assert):
        if isinstance(assertion.test, ast.Tuple) and assertion.test.elts:
            note = "always true: a tuple is asserted; remove the parentheses"
            yield Remark(assertion.lineno, "error", "tuple-assert", note)


def literal_identity(source: Source) -> Iterator[Remark]:
    """Whether two equal literals are the same object is up to the interpreter."""
    for comparison in source.of(ast.Compare):
        sides = [comparison.left, *comparison.comparators]
        for number, operator in enumerate(comparison.ops):
            pair = sides[number : number + 2]
            if isinstance(operator, ast.Is | ast.IsNot) and any(map(_is_literal, pair)):
                word = "==" if isinstance(operator, ast.Is) else "!="
                note = f"compares identity with a literal; use `{word}`"
                yield Remark(comparison.lineno, "error", "literal-identity", note)


def missing_return(source: Source) -> Iterator[Remark]:
    """A function that returns a value on some paths and None, unsaid, on others."""
    for function in source.functions:
        returns = list(function.of(ast.Return))
        generator = any(function.of(ast.Yield, ast.YieldFrom))
        if generator or not any(_gives_value(one) for one in returns) or _may_be_none(function):
            continue
        bare = [one.lineno for one in returns if one.value is None]
        if bare or falls_through(function.node.body):
            line = min(bare, default=function.node.lineno)
            note = f"`{function.node.name}` returns a value on some paths and nothing on others"
            yield Remark(line, "warning", "missing-return", note)


RULES: tuple[Rule, ...] = (
    mutable_default, bare_except, swallowed_exception, none_comparison, unreachable_code,
    unused_import, shadowed_builtin, long_function, complex_function, missing_docstring,
    empty_fstring, tuple_assert, literal_identity, missing_return,
)  # fmt: skip


def _is_mutable(node: ast.expr) -> bool:
    made = isinstance(node, ast.Call) and _last_name(node.func) in _MAKERS
    return made or isinstance(node, _MUTABLE)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_broad(kind: ast.expr) -> bool:
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(_last_name(one) in _BROAD for one in kinds)


def _does_nothing(statement: ast.stmt) -> bool:
    said = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return said or isinstance(statement, ast.Pass | ast.Continue)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_literal(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str | bytes | int | float | complex) and not isinstance(
            node.value, bool
        )
    return isinstance(node, ast.List | ast.Dict | ast.Set | ast.Tuple | ast.JoinedStr)


def _is_future(node: ast.ImportFrom) -> bool:
    return node.module == "__future__"


def _used_names(source: Source) -> frozenset[str]:
    """Every name that is read, asked for as a parameter (fixtures), or written in a string."""
    docstrings = {
        id(statement.value) for statement in source.of(ast.Expr)
        if isinstance(statement.value, ast.Constant)
    }  # fmt: skip
    names = {node.id for node in source.of(ast.Name)}
    names.update(argument.arg for argument in source.of(ast.arg))
    for constant in source.of(ast.Constant):
        if isinstance(constant.value, str) and id(constant) not in docstrings:
            names.update(_WORD.findall(constant.value))
    return frozenset(names)


def _arguments(function: Function) -> Iterator[ast.arg]:
    arguments = function.node.args
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (one for one in (arguments.vararg, arguments.kwarg) if one)


def _paths(node: ast.AST) -> int:
    """How many paths a node adds to its function, as linters count: statements only."""
    match node:
        case ast.If() | ast.For() | ast.AsyncFor() | ast.While() | ast.ExceptHandler():
            return 1
        case ast.match_case(pattern=pattern):
            return 0 if isinstance(pattern, ast.MatchAs) and pattern.pattern is None else 1
        case _:
            return 0


def _undocumented(function: Function) -> bool:
    return ast.get_docstring(function.node, clean=False) is None


def _is_variant(function: Function) -> bool:
    """Whether another function of the same name carries the docstring."""
    names = {_last_name(decorator) for decorator in function.node.decorator_list}
    return bool(names & {"overload", "override", "setter", "deleter"})


def _gives_value(statement: ast.Return) -> bool:
    return statement.value is not None and not _is_none(statement.value)


def _may_be_none(function: Function) -> bool:
    """Whether the annotation says that None is an answer."""
    said = function.node.returns
    return said is not None and bool({"None", "Optional", "Any"} & _words(said))


def _words(node: ast.expr) -> set[str]:
    return set(_WORD.findall(ast.unparse(node)))
