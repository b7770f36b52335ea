"""How the gateway's keys look in a terminal, and the ceilings that hold for them."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from helios.cli.ceilings import by_key, is_simulated, rule_to_json, spans
from helios.cli.terminal import clock_time, day_and_time
from helios.domain.budget.account import LimitRule, lineage
from helios.domain.budget.units import show
from helios.domain.gateway.key import GatewayKey, KeyState, Policy

if TYPE_CHECKING:
    from helios.bootstrap.house import House
    from helios.services.governor import Gauge

STYLES = {KeyState.LIVE: "green", KeyState.EXPIRED: "yellow", KeyState.REVOKED: "dim"}
Ceilings = Sequence[tuple[LimitRule, "Gauge"]]


async def ceilings_of_keys(
    house: "House", keys: Collection[GatewayKey]
) -> Mapping[str, list[tuple[LimitRule, "Gauge"]]]:
    """The ceilings that people set and how full they are, by the accounts of these keys."""
    desk = await house.desk()
    ceilings = desk.governor.ceilings
    rules = by_key(ceilings.rules, simulated=desk.simulated)
    state = await desk.governor.status(ceilings.of_everybody())
    gauges = [(rules[gauge.key], gauge) for gauge in state.gauges if gauge.key in rules]
    return {
        account: [pair for pair in gauges if pair[0].account in lineage(account)]
        for account in {key.account for key in keys}
    }


def ceilings_to_json(ceilings: Ceilings) -> list[dict[str, Any]]:
    """Ceilings as plain data: amounts are whole numbers of the unit, times UTC seconds."""
    return [
        {
            **rule_to_json(rule),
            "unit": str(gauge.unit),
            "cap": gauge.cap,
            "spent": gauge.spent,
            "held": gauge.held,
            "resets_at": gauge.resets_at,
            "simulated": is_simulated(gauge.key),
        }
        for rule, gauge in ceilings
    ]


def describe(rule: LimitRule, gauge: "Gauge", now: float) -> str:
    """A ceiling and how full it is, in words."""
    used = show(gauge.unit, gauge.spent + gauge.held).partition(" ")[0]
    span, after = spans(rule, gauge)
    books = " (simulated)" if is_simulated(gauge.key) else ""
    resets = f", resets {clock_time(gauge.resets_at, now)}{after}" if gauge.resets_at else ""
    return f"{gauge.label} {used}/{show(gauge.unit, gauge.cap)} {span}".rstrip() + resets + books


def show_keys(
    console: Console, keys: Sequence[GatewayKey], ceilings: Mapping[str, Ceilings], now: float
) -> None:
    """A few lines a key; one for a key that was revoked."""
    if not keys:
        console.print("no keys yet: the gateway lets in whoever reaches it")
        console.print("[dim]next:[/] helios keys create NAME")
        return
    for key in keys:
        state = key.state(now)
        used = (
            "never used" if key.last_used_at is None else f"used {day_and_time(key.last_used_at)}"
        )
        name = f"[bold]{escape(key.name)}[/]  [{STYLES[state]}]{state}[/]"
        if key.revoked_at is not None:
            console.print(f"{name} [dim]{day_and_time(key.revoked_at)}, {used}[/]")
            continue
        console.print(f"{name}  [dim]{used}[/]")
        console.print(_indented(escape(_rights(key))))
        for rule, gauge in ceilings[key.account]:
            if rule.account:
                console.print(_indented(escape(describe(rule, gauge, now))))


def _rights(key: GatewayKey) -> str:
    parts = [key.account or "everybody", ", ".join(key.models) or "every model"]
    if key.calls_per_minute:
        parts.append(f"{key.calls_per_minute}/min")
    if key.policy is not Policy.OFF:
        parts.append(f"policy {key.policy}")
    if key.expires_at:
        parts.append(f"until {day_and_time(key.expires_at)}")
    return "; ".join(parts)


def _indented(text: str) -> Padding:
    return Padding(text, (0, 0, 0, 2), expand=False)
