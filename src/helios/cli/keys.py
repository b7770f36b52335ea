"""keys: who may call through the gateway, on which budget, with which models, how often."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, cast

from cyclopts import App, Parameter
from rich.markup import escape

from helios.cli.budget import UNITS, WINDOWS, AmountUnit, Per, Scope, ceiling
from helios.cli.options import AsJson, SettingFlags, go
from helios.cli.terminal import day_and_time, out, print_json, talk
from helios.domain.budget.account import LimitRule
from helios.domain.gateway.key import GatewayKey, Policy, matches_nothing
from helios.errors import UsageError

app = App(
    name="keys", help="Keys for the gateway's clients: whose budget, which models, how often."
)

GATEWAY = "http://127.0.0.1:8002"
MOST_SHOWN = 8

_BUDGET = re.compile(rf"([0-9]+(?:\.[0-9]+)?)\s*({'|'.join(UNITS)})/({'|'.join(WINDOWS)})")


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Rights:
    """What a key may do."""

    account: Annotated[
        str | None, Parameter(help="Whose budget its calls count against; keys/NAME without.")
    ] = None
    budget: Annotated[
        str | None, Parameter(help="A ceiling for that account: 5usd/day, 200messages/5h.")
    ] = None
    models: Annotated[
        tuple[str, ...] | None,
        Parameter(negative="", consume_multiple=True, help="Names or patterns; all without."),
    ] = None
    rate: Annotated[int | None, Parameter(help="The most calls in any minute.")] = None
    policy: Annotated[
        Policy, Parameter(help="Whether Helios may ask a model that does instead.")
    ] = Policy.OFF
    expires: Annotated[
        str | None, Parameter(help="When it ends: 30d, 12h, or 2027-01-31T18:00:00+09:00.")
    ] = None


@app.command
def create(
    name: str,
    *,
    rights: Rights | None = None,
    json: AsJson = False,
    flags: SettingFlags | None = None,
) -> int:
    """Make a key; its secret goes to stdout, once: export K=$(helios keys create ci)."""
    rights = rights or Rights()
    if rights.rate is not None and rights.rate <= 0:
        raise UsageError(
            f"--rate {rights.rate}: a key that may never call is of no use",
            next_step="Give the most calls in any minute, or leave it out for no limit.",
        )
    if rights.models == ():
        # An empty variable of a shell must not open every model.
        raise UsageError("--models names none", next_step="Give names, or leave it out for all.")
    account = f"keys/{name}" if rights.account is None else rights.account
    rule = _rule(name, account, rights.budget) if rights.budget is not None else None
    return go(_create(name, account, rights, rule, as_json=json, flags=flags or SettingFlags()))


async def _create(
    name: str,
    account: str,
    rights: Rights,
    rule: LimitRule | None,
    *,
    as_json: bool,
    flags: SettingFlags,
) -> int:
    from helios.bootstrap.house import open_house
    from helios.services.access import Access

    async with open_house(flags.settings()) as house:
        now = house.clock.now()
        models = rights.models or ()
        _check_models(models, house.catalogue.models)
        secret, key = await Access(house.stores.keys, house.clock).issue(
            name,
            account,
            models=models,
            calls_per_minute=rights.rate or 0,
            policy=rights.policy,
            expires_at=None if rights.expires is None else _end(rights.expires, now),
        )
        if rule:
            await house.stores.budget.put_limit_rule(rule)
    if as_json:
        print_json({"schema": 1, "secret": secret, **_key(key, now)})
        return 0
    print(secret)
    _say_how_to_use(key, rights.budget)
    return 0


def _say_how_to_use(key: GatewayKey, budget: str | None) -> None:
    console = talk()
    allowed = ", ".join(key.models) or "every model"
    often = f", {key.calls_per_minute} calls a minute" if key.calls_per_minute else ""
    ceiling_ = f", at most {budget}" if budget else ""
    until = f", until {day_and_time(key.expires_at)}" if key.expires_at else ""
    told = f"{key.name}: account {key.account or 'everybody'}{ceiling_}, {allowed}{often}{until}"
    console.print(f"[green]✓[/] {escape(told)}")
    console.print(
        "  The secret is shown this once. With `helios serve` running, clients use it by:"
    )
    console.print(f"  export ANTHROPIC_BASE_URL={GATEWAY}")
    console.print("  export ANTHROPIC_API_KEY=hel_...")


@app.command(name="list")
def list_keys(*, json: AsJson = False, flags: SettingFlags | None = None) -> int:
    """Show all keys, ended ones too; never a secret."""
    return go(_list(as_json=json, flags=flags or SettingFlags()))


async def _list(*, as_json: bool, flags: SettingFlags) -> int:
    from helios.bootstrap.house import open_house
    from helios.cli.keys_view import show_keys

    async with open_house(flags.settings()) as house:
        now = house.clock.now()
        keys = await house.stores.keys.keys()
    if as_json:
        print_json({"schema": 1, "keys": [_key(key, now) for key in keys]})
    else:
        show_keys(out(), keys, now)
    return 0


@app.command
def revoke(name: str, *, flags: SettingFlags | None = None) -> int:
    """End a key: a second later nobody gets in with it."""
    return go(_revoke(name, flags or SettingFlags()))


async def _revoke(name: str, flags: SettingFlags) -> int:
    from helios.bootstrap.house import open_house
    from helios.services.access import Access

    async with open_house(flags.settings()) as house:
        if not await Access(house.stores.keys, house.clock).revoke(name):
            keys = await house.stores.keys.keys()
            names = [key.name for key in keys if key.revoked_at is None]
            raise UsageError(f"there is no key {name!r}", next_step=_suggestion(name, names))
    talk().print(f"[green]✓[/] {escape(name)} is revoked; its ceilings and books are kept")
    return 0


def _rule(name: str, account: str, budget: str) -> LimitRule:
    """The ceiling on a key's account, under the key's name."""
    if not account:
        raise UsageError(
            "--budget would bind everybody, because the account is everybody's",
            next_step="Give --account, or leave both out for an account of the key's own.",
        )
    found = _BUDGET.fullmatch(budget.strip())
    if not found:
        units, periods = ", ".join(UNITS), ", ".join(WINDOWS)
        raise UsageError(
            f"--budget {budget!r}: expected an amount with its unit, and a period",
            next_step=f"Such as 5usd/day; units: {units}; periods: {periods}.",
        )
    amount, unit, per = found.groups()
    scope = Scope(account, cast("Per", per))
    return ceiling(name, float(amount), cast("AmountUnit", unit), scope)


def _end(expires: str, now: float) -> float:
    from helios.services.projects.quantities import parse_deadline

    try:
        end = parse_deadline(expires, now)
    except ValueError as error:
        raise UsageError(
            f"--expires {expires!r}: {error}", next_step="Example: --expires 30d"
        ) from None
    if end <= now:
        raise UsageError(f"--expires {expires!r} is over", next_step="Example: --expires 30d")
    return end


def _check_models(patterns: tuple[str, ...], known: Collection[str]) -> None:
    for pattern in matches_nothing(patterns, known):
        raise UsageError(
            f"--models {pattern!r}: no model with a price is called so",
            next_step=_suggestion(pattern, known),
        )


def _suggestion(word: str, known: Collection[str]) -> str:
    close = get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    shown = ", ".join(sorted(known)[:MOST_SHOWN]) or "none"
    more = len(known) - MOST_SHOWN
    return f"There are: {shown}{f' and {more} more' if more > 0 else ''}."


def _key(key: GatewayKey, now: float) -> dict[str, Any]:
    """A key as plain data; times are UTC seconds."""
    return {
        "name": key.name,
        "account": key.account,
        "models": [*key.models],
        "calls_per_minute": key.calls_per_minute or None,
        "policy": str(key.policy),
        "state": str(key.state(now)),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }
