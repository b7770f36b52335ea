"""budget: how full the windows are, what was spent, ceilings, the brake, the reserve."""

import csv
import io
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from helios.cli.options import AsJson, SettingFlags, go
from helios.cli.terminal import next_command, out, print_json, talk
from helios.domain.budget.account import LimitRule, problem_with_account, problem_with_name
from helios.domain.budget.spend import SpendBy, SpendTotal
from helios.domain.budget.throttle import Level, Throttle
from helios.domain.budget.units import Unit, show
from helios.domain.budget.window import (
    NEVER,
    Anchored,
    Calendar,
    Forever,
    OpensOnUse,
    WindowRule,
)
from helios.domain.pricing import MICRO
from helios.errors import UsageError

if TYPE_CHECKING:
    from helios.services.forecasting import Outlook

app = App(name="budget", help="How full the windows are, and what may be spent.")
for verb, about in (
    ("verify", "Add the books up anew from their calls, and say where they differ."),
    ("rebuild", "Write books that differ anew from their calls; asks before."),
):
    app.command(f"helios.cli.budget_audit:{verb}", name=verb, help=about)

LARGEST = 2**62
DAY_S = 86_400.0
WEEK_S = 7 * DAY_S
Per = Literal["ever", "5h", "day", "week", "month"]
WINDOWS: dict[Per, WindowRule] = {
    "ever": Forever(),
    "5h": OpensOnUse(5 * 3600.0),
    "day": Calendar("day"),
    "week": Anchored(WEEK_S),
    "month": Calendar("month"),
}
AmountUnit = Literal["messages", "tokens", "usd", "points"]
UNITS: dict[AmountUnit, tuple[Unit, int]] = {
    "messages": (Unit.MESSAGES, 1),
    "tokens": (Unit.TOKENS, 1),
    "usd": (Unit.MICROUSD, MICRO),
    "points": (Unit.MILLIPOINTS, 1000),
}
Account = Annotated[str, Parameter(help="Whose ceiling: a path such as acme/mobile; all without.")]


@app.default
def budget(
    *,
    real: Annotated[
        bool, Parameter(negative="", help="The books of real calls, also without a key.")
    ] = False,
    json: AsJson = False,
    flags: SettingFlags | None = None,
) -> int:
    """Show how full the windows are, what this window went to, and the windows before."""
    return go(_budget(real=real, as_json=json, flags=flags or SettingFlags()))


async def _budget(*, real: bool, as_json: bool, flags: SettingFlags) -> int:
    from helios.bootstrap.house import open_house
    from helios.cli.budget_view import show_budget, show_outlooks
    from helios.services.progress import budget_to_json

    async with open_house(flags.settings()) as house:
        desk = await house.desk(simulated=False if real else None)
        state = await desk.governor.status(desk.governor.ceilings.of_everybody())
        window = state.gauges[0]
        past = await desk.governor.history(window.key)
        ahead = await desk.forecaster.windows()
        # What was learnt from elsewhere may be older than the window Helios opened with it.
        since = min(window.opened_at or state.at, state.at - 5 * 3600.0)
        spent = {
            what: await desk.spending.by(what, since, state.at + 1.0)
            for what in ("model", "project")
        }
    if as_json:
        history = [
            {"opened_at": b.window.opened_at, "spent": b.spent, "cap": b.limit.cap} for b in past
        ]
        told = {
            "plan": house.plan.name,
            "simulated": desk.simulated,
            "history": history,
            "forecast": [_outlook(outlook) for outlook in ahead],
            **{f"by_{what}": [_total(row) for row in rows] for what, rows in spent.items()},
        }
        print_json({**budget_to_json(state), **told})
    else:
        show_budget(out(), desk.governor.ceilings.plan, state, past, spent)
        show_outlooks(out(), ahead)
    return 0


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Scope:
    """Whose ceiling it is, and what counts in it."""

    account: Account = ""
    per: Annotated[Per, Parameter(help="The window it counts in.")] = "month"
    strong: Annotated[bool, Parameter(negative="", help="Count strong models' calls only.")] = False
    throttles: Annotated[
        bool, Parameter(negative="", help="Slow down as it fills, not only stop at the end.")
    ] = False


@app.command(name="set")
def set_limit(
    name: str,
    amount: float,
    unit: AmountUnit = "messages",
    *,
    scope: Scope | None = None,
    flags: SettingFlags | None = None,
) -> int:
    """Set a ceiling for an account, or for everybody: helios budget set team 50 usd --per day."""
    scope = scope or Scope()
    problem = problem_with_name(name) or problem_with_account(scope.account)
    if problem:
        raise UsageError(problem, next_step="Example: helios budget set cap 50 usd --account acme")
    rule = ceiling(name, amount, unit, scope)
    return go(_set_limit(rule, scope.per, flags or SettingFlags()))


def ceiling(name: str, amount: float, unit: AmountUnit, scope: Scope) -> LimitRule:
    """The rule a person means.

    Raises:
        UsageError: the amount is nothing, or more than can be counted.
    """
    counted, factor = UNITS[unit]
    cap = round(amount * factor) if isfinite(amount) else 0
    if not 0 < cap < LARGEST:
        raise UsageError(f"a ceiling of {amount:g} {unit} is not possible", next_step="Give more.")
    window = WINDOWS[scope.per]
    return LimitRule(scope.account, name, counted, cap, window, scope.strong, scope.throttles)


async def _set_limit(rule: LimitRule, per: Per, flags: SettingFlags) -> int:
    from helios.bootstrap.house import open_house

    async with open_house(flags.settings()) as house:
        await house.stores.budget.put_limit_rule(rule)
    whom = rule.account or "everybody"
    span = "in all" if per == "ever" else f"per {per}"
    talk().print(f"[green]✓[/] {whom}: at most {show(rule.unit, rule.cap)} {span} ({rule.name})")
    next_command("helios budget")
    return 0


@app.command
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


@app.command
def throttle(
    level: Literal["throttle", "critical", "paused", "off"],
    *,
    duration: Annotated[
        str | None, Parameter(name="--for", help="How long: 30m, 2h, 1d; until lifted without.")
    ] = None,
    reason: str = "",
    flags: SettingFlags | None = None,
) -> int:
    """Set the brake by hand: strong models wait, only urgent calls, none at all, or off."""
    return go(_throttle(level, duration, reason, flags or SettingFlags()))


async def _throttle(
    level: Level | Literal["off"], duration: str | None, reason: str, flags: SettingFlags
) -> int:
    from helios.bootstrap.house import open_house
    from helios.services.projects.quantities import parse_duration

    try:
        length_s = parse_duration(duration) if duration else NEVER
    except ValueError as error:
        raise UsageError(f"--for {duration!r}: {error}", next_step="Example: --for 2h") from None
    async with open_house(flags.settings()) as house:
        now = house.clock.now()
        brake = None if level == "off" else Throttle(level, now, now + length_s, reason)
        await house.stores.budget.set_throttle(brake)
    if brake is None:
        talk().print("[green]✓[/] the brake is off")
    else:
        until = f"for {duration}" if duration else "until `helios budget throttle off`"
        talk().print(f"[yellow]■[/] {level} {until}")
    return 0


@app.command
def reserve(share: str, *, flags: SettingFlags | None = None) -> int:
    """Keep a share of every window for yourself: helios budget reserve 20%."""
    from helios.config import save_setting

    (flags or SettingFlags()).settings()
    number = share.removesuffix("%")
    try:
        kept = float(number) / (100.0 if share.endswith("%") else 1.0)
    except ValueError:
        raise UsageError(f"{share!r} is no share", next_step="Example: 20%, or 0.2.") from None
    path = save_setting("human_reserve", kept)
    talk().print(f"[green]✓[/] agents leave {kept:.0%} of every window to you ({path})")
    return 0


@app.command
def learn(
    *events: Annotated[Path, Parameter(help="Files of Claude Code's stream-json output.")],
    transcripts: Annotated[Path, Parameter(help="Where Claude Code keeps its transcripts.")] = Path(
        "~/.claude/projects"
    ),
    flags: SettingFlags | None = None,
) -> int:
    """Take note of what Claude Code used of this window beside Helios, on this machine."""
    return go(_learn(transcripts.expanduser(), events, flags or SettingFlags()))


async def _learn(transcripts: Path, events: tuple[Path, ...], flags: SettingFlags) -> int:
    from helios.bootstrap.house import open_house
    from helios.bootstrap.learning import learn as learn_from

    async with open_house(flags.settings()) as house:
        learnt = await learn_from(house, transcripts, events)
    ignored = f", {learnt.ignored} lines made no sense" if learnt.ignored else ""
    talk().print(
        f"[green]✓[/] {learnt.calls} calls of this window booked, "
        f"{learnt.figures} figures of the provider kept{ignored}"
    )
    next_command("helios budget --real")
    return 0


@app.command
def history(
    limit: Annotated[str, Parameter(help="The key of a limit; the plan's first without.")] = "",
    *,
    most: int = 24,
    json: AsJson = False,
    flags: SettingFlags | None = None,
) -> int:
    """Show the windows before this one."""
    return go(_history(limit, most, as_json=json, flags=flags or SettingFlags()))


async def _history(limit: str, most: int, *, as_json: bool, flags: SettingFlags) -> int:
    from helios.bootstrap.house import open_house
    from helios.cli.budget_view import show_history

    async with open_house(flags.settings()) as house:
        desk = await house.desk()
        key = limit or desk.governor.ceilings.of_plan[0].key
        past = await desk.governor.history(key, most)
    if as_json:
        windows = [
            {
                "opened_at": b.window.opened_at,
                "closes_at": None if b.window.closes_at == NEVER else b.window.closes_at,
                "spent": b.spent,
                "held": b.held,
                "breach": b.breach,
                "cap": b.limit.cap,
                "unit": str(b.limit.unit),
            }
            for b in past
        ]
        print_json({"schema": 1, "limit": key, "windows": windows})
    else:
        show_history(out(), key, past)
    return 0


@app.command
def export(
    *,
    by: SpendBy = "model",
    days: Annotated[float, Parameter(help="How far back.")] = 30.0,
    kind: Annotated[Literal["csv", "json"], Parameter(name="--format")] = "csv",
    to: Annotated[Path | None, Parameter(help="A file; stdout without.")] = None,
    flags: SettingFlags | None = None,
) -> int:
    """Write what was spent, by model, project, agent, task, account or tier."""
    return go(_export(by, days, kind, to, flags or SettingFlags()))


async def _export(by: SpendBy, days: float, kind: str, to: Path | None, flags: SettingFlags) -> int:
    import json

    from helios.bootstrap.house import open_house

    async with open_house(flags.settings()) as house:
        now = house.clock.now()
        rows = await (await house.desk()).spending.by(by, now - days * DAY_S, now + 1.0)
    told = [_total(row) for row in rows]
    text = json.dumps(told, ensure_ascii=False, indent=2) + "\n" if kind == "json" else _csv(told)
    _write(text, to)
    return 0


def _write(text: str, to: Path | None) -> None:
    if to is None:
        print(text, end="")
        return
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{to}: {error.strerror}", next_step="Name another file.") from error
    talk().print(f"[green]✓[/] wrote {to}")


def _outlook(outlook: "Outlook") -> dict[str, Any]:
    forecast = outlook.forecast
    return {
        "limit": outlook.balance.limit.key,
        "sentence": outlook.sentence,
        "until": forecast.until if forecast else None,
        "used": asdict(forecast.used) if forecast else None,
        "exhausted": asdict(forecast.exhausted) if forecast else None,
    }


def _total(row: SpendTotal) -> dict[str, Any]:
    return {
        "name": row.name,
        "messages": row.messages,
        **asdict(row.usage),
        "cost_usd": row.cost_microusd / MICRO,
    }


def _csv(rows: list[dict[str, Any]]) -> str:
    file = io.StringIO()
    heads = list(rows[0]) if rows else ["name", "messages", "cost_usd"]
    writer = csv.DictWriter(file, heads, lineterminator="\n")
    writer.writeheader()
    # A name that a spreadsheet would take for a formula is made plain text.
    writer.writerows({**row, "name": _plain(row["name"])} for row in rows)
    return file.getvalue()


def _plain(name: str) -> str:
    return f"'{name}" if name[:1] in ("=", "+", "-", "@", "\t", "\r") else name
