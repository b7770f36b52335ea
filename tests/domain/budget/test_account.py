"""A call counts against its account and everybody above it, and against nobody else."""

import string
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from helios.domain.budget.account import (
    DEEPEST,
    LimitRule,
    account_limits,
    lineage,
    problem_with_account,
    problem_with_name,
)
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever

NAMES = st.text(string.ascii_lowercase + "가나다", min_size=1, max_size=4)
PATHS = st.lists(NAMES, max_size=DEEPEST).map("/".join)


def rule(account: str, name: str = "cap") -> LimitRule:
    return LimitRule(account, name, Unit.MESSAGES, 10, Forever())


@given(PATHS)
def test_the_root_is_above_everybody_and_oneself_comes_last(path: str) -> None:
    above = lineage(path)
    assert above[0] == ""
    assert above[-1] == path
    assert all(child.startswith(parent) for parent, child in pairwise(above))
    assert len(above) == len([name for name in path.split("/") if name]) + 1


@given(st.lists(PATHS, max_size=8, unique=True), PATHS)
def test_exactly_the_rules_of_the_lineage_bind(paths: list[str], account: str) -> None:
    bound = [limit.key for limit in account_limits(account, [rule(path) for path in paths])]
    assert bound == [rule(path).key for path in lineage(account) if path in paths]


@given(st.tuples(PATHS, NAMES), st.tuples(PATHS, NAMES))
def test_two_rules_never_share_their_books(one: tuple[str, str], other: tuple[str, str]) -> None:
    if one != other:
        assert rule(*one).key != rule(*other).key


def test_a_name_that_begins_alike_is_another_account() -> None:
    assert account_limits("acme-2", [rule("acme")]) == ()
    assert account_limits("acme/2", [rule("acme")]) != ()


def test_names_are_checked() -> None:
    for good in ("acme", "모바일 팀".replace(" ", "-"), "a.b@c", "x" * 64):
        assert problem_with_name(good) == ""
        assert problem_with_account(f"{good}/{good}") == ""
    for bad in ("", "a b", "a/b", "-a", "x" * 65, "a\n", "../x"):
        assert problem_with_name(bad)
    for path in ("/a", "a/", "a//b", "/".join("abcdefghi"), "a/../b"):
        assert problem_with_account(path)
