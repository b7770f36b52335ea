"""budget set, budget unset: the ceilings that people put on accounts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from helios.cli.amounts import (
    EXPECTED,
    UNITS,
    WINDOWS,
    AmountUnit,
    Per,
    Wish,
    counted,
    per_of,
    read_wish,
    span_of,
    told,
    unit_of,
)
from helios.cli.options import SettingFlags, go
from helios.cli.terminal import day_and_time, next_command, talk
from helios.domain.budget.account import LimitRule, problem_with_account, problem_with_name
from helios.domain.budget.units import show
from helios.domain.budget.window import NEVER, Forever, window_at
from helios.errors import UsageError

if TYPE_CHECKING:
    from helios.bootstrap.house import House
    from helios.services.governor import Gauge

EXAMPLE = "Example: helios budget set cap 50usd/day --account team"
SIMULATED = "simulated/"
"""What the keys of ceilings begin with in the books of simulated calls."""
BOOKS = {"": "used so far", SIMULATED: "simulated so far"}
Account = Annotated[str, Parameter(help="Whose ceiling: a path such as acme/mobile; all without.")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Scope:
    """Whose ceiling it is, and what counts in it; None keeps what it was."""

    account: Account = ""
    per: Annotated[
        Per | None, Parameter(help="The window it counts in; month unless it has one.")
    ] = None
    strong: Annotated[bool | None, Parameter(help="Count strong models' calls only.")] = None
    throttles: Annotated[
        bool | None, Parameter(help="Slow down as it fills, not only stop at the end.")
    ] = None


def set_limit(
    name: Annotated[str, Parameter(help="What to call the ceiling; --account says whose it is.")],
    *amount: Annotated[str, Parameter(help="Such as $50, 50usd/day, 1,000 messages.")],
    scope: Scope | None = None,
    flags: SettingFlags | None = None,
) -> int:
    """Set a ceiling, or change one: helios budget set cap 50usd/day --account team.

    Without --account it binds everybody. A ceiling that is there keeps its unit and its period
    where none are named.
    """
    scope = scope or Scope()
    check_names(name, scope.account)
    if not amount:
        raise UsageError(f"how much may {name} be?", next_step=EXAMPLE)
    wish = read_wish(" ".join(amount), "AMOUNT")
    if scope.per and wish.per and scope.per != wish.per:
        raise UsageError(f"per {wish.per}, or --per {scope.per}?", next_step=EXAMPLE)
    wish = replace(wish, per=wish.per or scope.per)
    return go(_set_limit(name, wish, scope, flags or SettingFlags()))


def check_names(name: str, account: str) -> None:
    """Refuse a name or an account that cannot be, saying which of them it is.

    Raises:
        UsageError: one of them cannot be.
    """
    if problem := problem_with_name(name):
        raise UsageError(f"NAME: {problem}", next_step="Such as cap, 팀-상한 or ci.2")
    if problem := problem_with_account(account):
        raise UsageError(f"--account: {problem}", next_step="Such as --account acme/mobile")


async def _set_limit(name: str, wish: Wish, scope: Scope, flags: SettingFlags) -> int:
    from helios.bootstrap.house import open_house

    async with open_house(flags.settings()) as house:
        old = await rule_of(house, scope.account, name)
        rule = ceiling(scope.account, name, wish, old, otherwise=("messages", "month"))
        if scope.strong is not None:
            rule = replace(rule, strong_only=scope.strong)
        if scope.throttles is not None:
            rule = replace(rule, zoned=scope.throttles)
        notes = await put(house, rule, old)
    was = f", was {told(old)}" if old else ""
    now = "now " if old else ""
    talk().print(
        f"[green]✓[/] {rule.account or 'everybody'}: {now}at most {told(rule)} ({rule.name}){was}"
    )
    if not rule.account:
        talk().print(
            "  [yellow]It binds every key and project.[/] For one account alone: --account WHOSE;\n"
            f"  this one goes away by: helios budget unset {rule.name}"
        )
    for note in notes:
        talk().print(f"  {escape(note)}")
    next_command("helios budget")
    return 0


async def rule_of(house: "House", account: str, name: str) -> LimitRule | None:
    """The ceiling of this account and name as it is set now."""
    rules = await house.stores.budget.limit_rules()
    return next((r for r in rules if (r.account, r.name) == (account, name)), None)


def ceiling(
    account: str,
    name: str,
    wish: Wish,
    old: LimitRule | None = None,
    *,
    otherwise: tuple[AmountUnit | None, Per | None] = (None, None),
) -> LimitRule:
    """The rule a person means: what is not said stays as it was, or is `otherwise`.

    Raises:
        UsageError: the amount cannot be counted, or the unit or the period is known from nowhere.
    """
    unit = wish.unit or (unit_of(old.unit) if old else otherwise[0])
    per = wish.per or (per_of(old.window) if old else otherwise[1])
    if unit is None or (per is None and old is None):
        missing = "unit" if unit is None else "period"
        raise UsageError(f"{wish.said} says no {missing}", next_step=EXPECTED)
    cap = counted(wish, unit)
    if old and (per is None or per == per_of(old.window)):
        return replace(old, unit=UNITS[unit][0], cap=cap)
    window = WINDOWS[per or "month"]
    if old:
        return replace(old, unit=UNITS[unit][0], cap=cap, window=window)
    return LimitRule(account, name, UNITS[unit][0], cap, window)


async def put(house: "House", rule: LimitRule, old: LimitRule | None) -> list[str]:
    """Store a ceiling; what a person should know about the books it counts in.

    Raises:
        UsageError: its window is open for ever, so that no other period can begin.
    """
    windows = {key: await house.stores.ledger.history(f"{key}{rule.key}", 1) for key in BOOKS}
    open_ = {
        key: newest[0]
        for key, newest in windows.items()
        if newest and newest[0].window.covers(house.clock.now())
    }
    endless = any(balance.window.closes_at == NEVER for balance in open_.values())
    if endless and rule.window != Forever():
        raise UsageError(
            f"{rule.name} of {rule.account or 'everybody'} counts in all: its window never closes, "
            f"so it cannot count {span_of(rule.window)}",
            next_step="Take it away with `helios budget unset`, and set one of another name.",
        )
    await house.stores.budget.put_limit_rule(rule)
    notes = []
    if old and old.unit is not rule.unit:
        notes.append("In another unit it has other books: what counted before does not count here.")
    for key, balance in open_.items():
        note = f"{BOOKS[key]}: {show(rule.unit, balance.spent + balance.held)}"
        if balance.window.closes_at != NEVER:
            note += f"; this window closes {day_and_time(balance.window.closes_at)}"
            if old and old.window != rule.window:
                note += f", and only then it counts {span_of(rule.window)}"
        notes.append(note)
    return notes


def unset(name: str, *, account: Account = "", flags: SettingFlags | None = None) -> int:
    """Take a ceiling away; what was counted in it is kept."""
    return go(_unset(name, account, flags or SettingFlags()))


async def _unset(name: str, account: str, flags: SettingFlags) -> int:
    from helios.bootstrap.house import open_house

    async with open_house(flags.settings()) as house:
        rules = await house.stores.budget.limit_rules()
        if not await house.stores.budget.remove_limit_rule(account, name):
            known = ", ".join(f"{r.name} of {r.account or 'everybody'}" for r in rules) or "none"
            raise UsageError(
                f"{account or 'everybody'} has no ceiling {name!r}", next_step=f"Set: {known}."
            )
    talk().print(f"[green]✓[/] {name} of {account or 'everybody'} is gone")
    return 0


def by_key(rules: Iterable[LimitRule], *, simulated: bool) -> dict[str, LimitRule]:
    """The ceilings by the keys that their limits have in the real or the simulated books."""
    return {f"{SIMULATED if simulated else ''}{rule.key}": rule for rule in rules}


def is_simulated(key: str) -> bool:
    """Whether a limit of this key is one of the simulated books."""
    return key.startswith(SIMULATED)


def spans(rule: LimitRule, gauge: "Gauge") -> tuple[str, str]:
    """The period of a ceiling in words; where the window that is open began under another one,
    nothing for now, and what comes after it.
    """
    span = span_of(rule.window)
    if gauge.opened_at is None or gauge.resets_at is None:
        return span, ""
    closes_at = window_at(rule.window, None, gauge.opened_at).closes_at
    return (span, "") if abs(closes_at - gauge.resets_at) < 1 else ("", f", then {span}")


def rule_to_json(rule: LimitRule) -> dict[str, Any]:
    """Whose ceiling it is and what period it has, for programs."""
    return {
        "account": rule.account,
        "name": rule.name,
        "per": per_of(rule.window),
        "strong_only": rule.strong_only,
    }
