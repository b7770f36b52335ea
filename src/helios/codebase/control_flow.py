"""Where the flow of a function ends: what is never reached, and what falls off the end."""

import ast
from collections.abc import Iterator, Sequence
from itertools import pairwise

from helios.codebase.syntax import dotted_name

_LEAVING = frozenset(
    {"sys.exit", "exit", "quit", "os._exit", "os.abort", "assert_never", "typing.assert_never",
     "pytest.fail", "pytest.skip", "pytest.exit", "self.fail", "self.skipTest"}
)  # fmt: skip


def unreachable(block: Sequence[ast.stmt]) -> ast.stmt | None:
    """The first statement of a block that nothing reaches."""
    for before, after in pairwise(block):
        if isinstance(before, ast.Return | ast.Raise | ast.Continue | ast.Break):
            makes_generator = isinstance(after, ast.Expr) and isinstance(after.value, ast.Yield)
            return None if makes_generator else after
    return None


def falls_through(block: Sequence[ast.stmt]) -> bool:
    """Whether the end of a block can be reached."""
    return not any(_stops(statement) for statement in block)


def _stops(statement: ast.stmt) -> bool:
    """Whether nothing after this statement is reached through it; in doubt, it stops."""
    match statement:
        case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
            return True
        case ast.If():
            return not falls_through(statement.body) and not falls_through(statement.orelse)
        case ast.While() | ast.For() | ast.AsyncFor():
            return _loop_stops(statement)
        case ast.With() | ast.AsyncWith():
            return not falls_through(statement.body)
        case ast.Try() | ast.TryStar():
            return _try_stops(statement)
        case ast.Match():
            return not any(falls_through(case.body) for case in statement.cases)
        case _:
            return _never_comes_back(statement)


def _never_comes_back(statement: ast.stmt) -> bool:
    match statement:
        case ast.Assert(test=ast.Constant(value=value)):
            return not value
        case ast.Expr(value=ast.Call(func=called) | ast.Await(value=ast.Call(func=called))):
            return dotted_name(called) in _LEAVING
        case _:
            return False


def _loop_stops(loop: ast.While | ast.For | ast.AsyncFor) -> bool:
    if any(_breaks(loop.body)):
        return False
    if isinstance(loop, ast.While) and isinstance(loop.test, ast.Constant) and loop.test.value:
        return True
    return bool(loop.orelse) and not falls_through(loop.orelse)


def _try_stops(statement: ast.Try | ast.TryStar) -> bool:
    if statement.finalbody and not falls_through(statement.finalbody):
        return True
    if falls_through([*statement.body, *statement.orelse]):
        return False
    return not any(falls_through(handler.body) for handler in statement.handlers)


def _breaks(block: Sequence[ast.stmt]) -> Iterator[ast.Break]:
    """The `break`s in a block that end the loop the block belongs to."""
    for statement in block:
        if isinstance(statement, ast.Break):
            yield statement
        elif isinstance(statement, ast.For | ast.AsyncFor | ast.While):
            yield from _breaks(statement.orelse)
        elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _inner_breaks(statement)


def _inner_breaks(statement: ast.stmt) -> Iterator[ast.Break]:
    for name in ("body", "orelse", "finalbody"):
        yield from _breaks(getattr(statement, name, []))
    for name in ("handlers", "cases"):
        for part in getattr(statement, name, []):
            yield from _breaks(part.body)
