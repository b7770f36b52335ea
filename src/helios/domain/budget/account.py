"""Accounts: the tree of those who share a budget, written as a path such as "acme/mobile/shop".

A call of an account counts against the limits of the account itself and of everybody above it, up
to the root "", which is everybody.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from helios.domain.budget.limit import Limit
from helios.domain.budget.preset import STRONG_TIERS
from helios.domain.budget.units import Unit
from helios.domain.budget.window import WindowRule
from helios.domain.budget.zones import Thresholds

ROOT = ""
_NAME = re.compile(r"[\w][\w.@-]{0,63}")
DEEPEST = 8


@dataclass(frozen=True, slots=True)
class LimitRule:
    """A ceiling somebody set on an account, in whatever unit and window.

    `name` tells the rules of one account apart. `strong_only` counts calls of strong models alone.
    `zoned` rules throttle as they fill; the others only stop at the ceiling.
    """

    account: str
    name: str
    unit: Unit
    cap: int
    window: WindowRule
    strong_only: bool = False
    zoned: bool = False
    thresholds: Thresholds = field(default_factory=Thresholds)

    @property
    def key(self) -> str:
        """The name of its limit for ever; in another unit it has other books."""
        whose = f"account/{self.account}" if self.account else "everybody"
        return f"{whose}/{self.name}/{self.unit}"


def problem_with_name(name: str) -> str:
    """What is wrong with the name of a rule or of one account on a path; "" when nothing is."""
    if _NAME.fullmatch(name):
        return ""
    return (
        f"{name!r} must be 1 to 64 letters, digits, '.', '@', '_' or '-', "
        "beginning with a letter, a digit or '_'"
    )


def problem_with_account(path: str) -> str:
    """What is wrong with an account's path; "" when nothing is."""
    names = path.split("/") if path else []
    if "" in names:
        return f"{path!r} must be names with one '/' between them"
    if len(names) > DEEPEST:
        return f"{path!r} is deeper than {DEEPEST} levels"
    return next((problem for name in names if (problem := problem_with_name(name))), "")


def lineage(account: str) -> tuple[str, ...]:
    """The account and everybody above it, the root first."""
    names = account.split("/") if account else []
    return tuple("/".join(names[:depth]) for depth in range(len(names) + 1))


def account_limits(account: str, rules: Iterable[LimitRule]) -> tuple[Limit, ...]:
    """The limits that bind an account's calls, the root's first."""
    depth = {path: level for level, path in enumerate(lineage(account))}
    binding = [rule for rule in rules if rule.account in depth]
    ordered = sorted(binding, key=lambda rule: (depth[rule.account], rule.name))
    return tuple(_limit(rule) for rule in ordered)


def _limit(rule: LimitRule) -> Limit:
    whose = f"of {rule.account}" if rule.account else "of everybody"
    return Limit(
        key=rule.key,
        unit=rule.unit,
        cap=rule.cap,
        window=rule.window,
        window_key=rule.key,
        label=f"{rule.name} {whose}",
        tiers=STRONG_TIERS if rule.strong_only else frozenset(),
        zoned=rule.zoned,
        thresholds=rule.thresholds,
    )
