"""Each rule remarks on what it is for, and on nothing else."""

import ast
import textwrap

import pytest

from helios.codebase import rules
from helios.codebase.syntax import read_source


def _remarks(rule: rules.Rule, code: str, path: str = "app/module.py") -> list[tuple[str, int]]:
    tree = ast.parse(textwrap.dedent(code))
    found = sorted(rule(read_source(path, tree)), key=lambda remark: remark.line)
    return [(remark.rule, remark.line) for remark in found]


def _long(lines: int) -> str:
    return "def f():\n" + "    x = 1\n" * (lines - 1)


def _branches(count: int) -> str:
    return "def f(x):\n" + "".join(f"    if x == {n}:\n        x = 0\n" for n in range(count))


POSITIVE = [
    (rules.mutable_default, "def f(a, b=[]): pass", 1),
    (rules.mutable_default, "def f(*, a={}): pass", 1),
    (rules.mutable_default, "f = lambda a=set(): a", 1),
    (rules.mutable_default, "def f(\n    a=collections.defaultdict(int),\n): pass", 2),
    (rules.bare_except, "try:\n    f()\nexcept:\n    g()", 3),
    (rules.swallowed_exception, "try:\n    f()\nexcept Exception:\n    pass", 3),
    (rules.swallowed_exception, "try:\n    f()\nexcept (OSError, BaseException):\n    ...", 3),
    (
        rules.swallowed_exception,
        "for x in y:\n  try:\n    f()\n  except Exception:\n    continue",
        4,
    ),
    (rules.none_comparison, "x == None", 1),
    (rules.none_comparison, "a < b\nNone != x", 2),
    (rules.none_comparison, "a < b == None", 1),
    (rules.unreachable_code, "def f():\n    return 1\n    g()", 3),
    (rules.unreachable_code, "for x in y:\n    break\n    g()", 3),
    (rules.unreachable_code, "try:\n    f()\nexcept A:\n    raise\n    g()", 5),
    (rules.unreachable_code, "match x:\n    case 1:\n        raise A\n        g()", 4),
    (rules.unused_import, "import os", 1),
    (rules.unused_import, "import os.path\nfrom a import (\n    b,\n    c,\n)\nb, os", 4),
    (rules.unused_import, "from a import b as c\nb = 1", 1),
    (rules.shadowed_builtin, "def f(a, id): pass", 1),
    (rules.shadowed_builtin, "async def f(*, list=None): pass", 1),
    (rules.shadowed_builtin, "def f(*input): pass", 1),
    (rules.long_function, _long(61), 1),
    (rules.complex_function, _branches(10), 1),
    (rules.missing_docstring, "def f(): pass", 1),
    (rules.missing_docstring, "class A:\n    async def f(self): pass", 2),
    (rules.empty_fstring, "f'a'", 1),
    (rules.empty_fstring, "x = 1\ng(f'a' f'b')", 2),
    (rules.tuple_assert, "assert (x, 'message')", 1),
    (rules.literal_identity, "x is 1", 1),
    (rules.literal_identity, "'a' is not x", 1),
    (rules.literal_identity, "x is ()", 1),
    (rules.missing_return, "def f(x):\n    if x:\n        return 1", 1),
    (rules.missing_return, "def f(x):\n    if x:\n        return\n    return 1", 3),
    (rules.missing_return, "def f(x):\n    for y in x:\n        return y", 1),
    (
        rules.missing_return,
        "def f(x):\n    try:\n        return x()\n    except A:\n        g()",
        1,
    ),
    (rules.missing_return, "def f(x):\n    while True:\n        if x: break\n        return 1", 1),
    (
        rules.missing_return,
        "def f(x):\n    match x:\n        case 1: return 1\n        case _: g()",
        1,
    ),
    (rules.missing_return, "def f(x):\n  while 1:\n    with a:\n      break\n    return 1", 1),
    (
        rules.missing_return,
        "def f(x):\n while 1:\n  try: g()\n  except A: break\n  return 1",
        1,
    ),
    (
        rules.missing_return,
        "def f(x):\n while 1:\n  for y in x: g()\n  else: break\n  return 1",
        1,
    ),
    (rules.missing_return, "def f(x):\n    if x: return 1\n    g(x)[0]()", 1),
    (rules.missing_return, "def f(x) -> int:\n    if x:\n        return 1", 1),
]

NEGATIVE = [
    (rules.mutable_default, "def f(a=None, b=(), c=1, *, d, e=frozenset()): pass"),
    (rules.bare_except, "try:\n    f()\nexcept:\n    g()\n    raise"),
    (rules.bare_except, "try:\n    f()\nexcept Exception:\n    g()"),
    (rules.swallowed_exception, "try:\n    f()\nexcept KeyError:\n    pass"),
    (rules.swallowed_exception, "try:\n    f()\nexcept Exception:\n    log()"),
    (rules.none_comparison, "x is None\nx == 0\nx is not None"),
    (rules.unreachable_code, "def f():\n    if x:\n        return 1\n    g()"),
    (rules.unreachable_code, "def f():\n    return\n    yield"),
    (rules.unused_import, "from __future__ import annotations\nimport os as os\nimport _x"),
    (rules.unused_import, "from a import *\nfrom b import c\n__all__ = ['c']"),
    (rules.unused_import, "from a import B\ndef f(x: 'list[B]'): pass"),
    (rules.unused_import, "try:\n    import a\nexcept ImportError:\n    b = None"),
    (rules.unused_import, "import a.b\na.b.c()"),
    (rules.unused_import, "from fixtures import thing\ndef test(thing): pass"),
    (rules.shadowed_builtin, "def f(identity, items): pass\nid = 1"),
    (rules.long_function, _long(60)),
    (rules.complex_function, _branches(9)),
    (rules.complex_function, "def f(x):\n" + textwrap.indent(_branches(8), "    ") * 2),
    (rules.missing_docstring, 'def f():\n    """What it does."""'),
    (rules.missing_docstring, "def _f(): pass\nclass _A:\n    def f(self): pass"),
    (rules.missing_docstring, "class A:\n    def __init__(self): pass"),
    (rules.missing_docstring, 'def f():\n    """안쪽."""\n    def g(): pass'),
    (rules.missing_docstring, "class A:\n    @x.setter\n    def x(self, value): pass"),
    (rules.empty_fstring, "f'{a}'\nf'{a:>10}'\n'a'\nf'a' f'{b}'"),
    (rules.tuple_assert, "assert x, 'message'\nassert ()"),
    (rules.literal_identity, "x is None\nx is True\nx is y\nx == 1\nx is ..."),
    (rules.missing_return, "def f(x):\n    if x:\n        return 1\n    return None"),
    (rules.missing_return, "def f(x):\n    if x:\n        return 1\n    else:\n        raise A"),
    (rules.missing_return, "def f(x):\n    while True:\n        if x: return 1"),
    (rules.missing_return, "def f(x):\n    with x:\n        return 1"),
    (rules.missing_return, "def f(x):\n    try:\n        return 1\n    finally:\n        g()"),
    (rules.missing_return, "def f(x):\n    try: return g()\n    except A: sys.exit(1)"),
    (rules.missing_return, "def f(x):\n    if x: return 1\n    assert False"),
    (rules.missing_return, "def f(x):\n    if x: return 1\n    assert_never(x)"),
    (rules.missing_return, "def f(x):\n    for y in x:\n        g()\n    else:\n        return 1"),
    (rules.missing_return, "def f(x):\n  match x:\n    case 1: return 1\n    case 2: return 2"),
    (rules.missing_return, "def f(x):\n  while 1:\n    for y in x: break\n    if y: return 1"),
    (rules.missing_return, "def f(x):\n  try: g()\n  except* A: g()\n  finally: return 1"),
    (rules.missing_return, "async def f(x):\n  async with x: return 1"),
    (rules.complex_function, _branches(9) + "    match x:\n        case _: pass"),
    (rules.missing_return, "def f(x) -> int | None:\n    if x:\n        return 1"),
    (rules.missing_return, "def f(x) -> 'Optional[int]':\n    if x:\n        return 1"),
    (rules.missing_return, "def f(x):\n    if x:\n        return 1\n    yield 2"),
    (rules.missing_return, "def f(x):\n    def g():\n        return 1\n    g()"),
    (rules.missing_return, "def f(x):\n    if x:\n        return\n    g()"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "code", "line"), POSITIVE)
def test_a_rule_remarks(rule: rules.Rule, code: str, line: int) -> None:
    assert _remarks(rule, code) == [(_remarks(rule, code)[0][0], line)]


@pytest.mark.parametrize(("rule", "code"), NEGATIVE)
def test_a_rule_does_not_remark(rule: rules.Rule, code: str) -> None:
    assert _remarks(rule, code) == []


def test_every_rule_has_an_example_of_both_kinds() -> None:
    assert set(rules.RULES) == {example[0] for example in POSITIVE}
    assert set(rules.RULES) == {example[0] for example in NEGATIVE}


@pytest.mark.parametrize("path", ["tests/thing.py", "app/test_thing.py", "conftest.py"])
def test_tests_need_no_docstrings(path: str) -> None:
    assert _remarks(rules.missing_docstring, "def test_it() -> None: pass", path) == []


def test_packages_may_re_export() -> None:
    assert _remarks(rules.unused_import, "from a import b", "app/__init__.py") == []


def test_the_remark_on_complexity_says_how_complex() -> None:
    source = read_source("a.py", ast.parse(_branches(12)))
    (remark,) = rules.complex_function(source)
    assert remark.note == "`f` has complexity 13 (more than 10)"
