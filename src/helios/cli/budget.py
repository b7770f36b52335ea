"""budget: how full the windows are, what was spent, ceilings, the brake, the reserve."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from helios.cli.amounts import plural
from helios.cli.ceilings import by_key, rule_to_json
from helios.cli.options import AsJson, SettingFlags, go
from helios.cli.terminal import day_and_time, next_command, out, print_json, talk
from helios.domain.budget.throttle import Level, Throttle
from helios.domain.budget.window import NEVER
from helios.errors import UsageError

if TYPE_CHECKING:
    from helios.services.forecasting import Outlook

app = App(name="budget", help="How full the windows are, and what may be spent.", help_epilogue="")
for place, verb, about in (
    ("ceilings:set_limit", "set",
     "Set a ceiling, or change one: helios budget set cap 50usd/day --account team. Without "
     "--account it binds everybody. What is not named, unit or period, stays as it was."),
    ("ceilings:unset", "unset", "Take a ceiling away; what was counted in it is kept."),
    ("budget_history:history", "history", "Show the windows of a limit, the newest first."),
    ("budget_export:export", "export", "Write what was spent, as CSV or JSON."),
    ("budget_audit:verify", "verify",
     "Add the books up anew from their calls, and say where they differ."),
    ("budget_audit:rebuild", "rebuild",
     "Write books that differ anew from their calls; asks before."),
):  # fmt: skip
    app.command(f"helios.cli.{place}", name=verb, help=about)


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
    from helios.cli.budget_export import total_to_json
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
        rules = by_key(desk.governor.ceilings.rules, simulated=desk.simulated)
    if as_json:
        history = [
            {"opened_at": b.window.opened_at, "spent": b.spent, "cap": b.limit.cap} for b in past
        ]
        told = {
            "plan": house.plan.name,
            "simulated": desk.simulated,
            "history": history,
            "forecast": [_outlook(outlook) for outlook in ahead],
            **{f"by_{what}": [total_to_json(row) for row in rows] for what, rows in spent.items()},
        }
        status = budget_to_json(state)
        for limit in status["limits"]:
            rule = rules.get(limit["key"])
            limit["ceiling"] = rule_to_json(rule) if rule else None
        print_json({**status, **told})
    else:
        show_budget(out(), desk.governor.ceilings.plan, state, past, spent, rules)
        show_outlooks(out(), ahead)
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
    elif brake.until == NEVER:
        talk().print(f"[yellow]■[/] {level} until `helios budget throttle off`")
    else:
        talk().print(f"[yellow]■[/] {level} for {duration}, until {day_and_time(brake.until)}")
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
    if not 0 <= kept < 1:
        meant = f"Did you mean {share}%?" if 1 <= kept < 100 else "Example: 20%, or 0.2."
        raise UsageError(f"{share!r}: a share is less than 1, or 100%", next_step=meant)
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
    ignored = f", {plural(learnt.ignored, 'line')} made no sense" if learnt.ignored else ""
    talk().print(
        f"[green]✓[/] of this window {plural(learnt.calls, 'new call')} booked, "
        f"{learnt.known} known before; "
        f"{plural(learnt.figures, 'figure')} of the provider kept{ignored}"
    )
    next_command("helios budget --real")
    return 0


def _outlook(outlook: "Outlook") -> dict[str, Any]:
    forecast = outlook.forecast
    return {
        "limit": outlook.balance.limit.key,
        "sentence": outlook.sentence,
        "until": forecast.until if forecast else None,
        "used": asdict(forecast.used) if forecast else None,
        "exhausted": asdict(forecast.exhausted) if forecast else None,
    }
