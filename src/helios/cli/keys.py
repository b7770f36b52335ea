"""keys: who may call through the gateway, on which budget, with which models, how often."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.markup import escape

from helios.cli.amounts import Wish, plural, read_wish, told
from helios.cli.ceilings import ceiling, check_names, put, rule_of
from helios.cli.keys_view import ceilings_of_keys, ceilings_to_json, describe, show_keys
from helios.cli.options import AsJson, SettingFlags, go
from helios.cli.terminal import day_and_time, out, print_json, suggestion, talk
from helios.domain.gateway.key import GatewayKey, Policy, matches_nothing
from helios.domain.pricing import Model
from helios.domain.vendors import split_vendor
from helios.errors import UsageError

app = App(
    name="keys",
    help="Keys for the gateway's clients: whose budget, which models, how often.",
    help_epilogue="",
)

GATEWAY = "http://127.0.0.1:8002"


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Rights:
    """What a key may do."""

    account: Annotated[
        str | None, Parameter(help="Whose budget its calls count against; keys/NAME without.")
    ] = None
    budget: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True, help="A ceiling for that account: 5usd/day, 200messages/5h."
        ),
    ] = None
    models: Annotated[
        tuple[str, ...] | None,
        Parameter(negative="", consume_multiple=True, help="Names or patterns; all without."),
    ] = None
    rate: Annotated[
        int | None, Parameter(allow_leading_hyphen=True, help="The most calls in any minute.")
    ] = None
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
    check_names(name, account)
    wish = None if rights.budget is None else _wish(account, rights.budget)
    return go(_create(name, account, rights, wish, as_json=json, flags=flags or SettingFlags()))


async def _create(
    name: str,
    account: str,
    rights: Rights,
    wish: Wish | None,
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
        is_first = not await house.stores.keys.keys()
        old = await rule_of(house, account, name)
        rule = ceiling(account, name, wish, old) if wish else None
        secret, key = await Access(house.stores.keys, house.clock).issue(
            name,
            account,
            models=models,
            calls_per_minute=rights.rate or 0,
            policy=rights.policy,
            expires_at=None if rights.expires is None else _end(rights.expires, house.clock.now()),
        )
        if rule:
            await put(house, rule, old)
        ceilings = (await ceilings_of_keys(house, [key]))[key.account]
    if as_json:
        told_ = {**_key(key, now), "ceilings": ceilings_to_json(ceilings)}
        print_json({"schema": 1, "secret": secret, **told_})
        return 0
    print(secret)
    at_most = f", at most {told(rule)}" if rule else ""
    was = f" (was {told(old)})" if rule and old else ""
    _say_what_it_may(key, at_most + was)
    for rule_, gauge in ceilings:
        if rule is None or rule_.key != rule.key or gauge.spent + gauge.held:
            talk().print(f"  holds for it: {escape(describe(rule_, gauge, now))}")
    _say_how_to_use(is_first=is_first)
    return 0


def _say_what_it_may(key: GatewayKey, at_most: str) -> None:
    allowed = ", ".join(key.models) or "every model"
    often = f", {plural(key.calls_per_minute, 'call')} a minute" if key.calls_per_minute else ""
    policy = f", policy {key.policy}" if key.policy is not Policy.OFF else ""
    until = f", until {day_and_time(key.expires_at)}" if key.expires_at else ""
    whose = key.account or "everybody"
    said = f"{key.name}: account {whose}{at_most}, {allowed}{often}{policy}{until}"
    talk().print(f"[green]✓[/] {escape(said)}")


def _say_how_to_use(*, is_first: bool) -> None:
    console = talk()
    if is_first:
        console.print(
            "  [yellow]This is the first key[/]: from now on the gateway refuses (403) whoever "
            "sends none,\n  `hel_local` too. Running clients need a key of their own."
        )
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

    async with open_house(flags.settings()) as house:
        now = house.clock.now()
        keys = await house.stores.keys.keys()
        ceilings = await ceilings_of_keys(house, keys)
    if as_json:
        rows = [
            {**_key(key, now), "ceilings": ceilings_to_json(ceilings[key.account])} for key in keys
        ]
        print_json({"schema": 1, "keys": rows})
    else:
        show_keys(out(), keys, ceilings, now)
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
            ended = [key.revoked_at for key in keys if key.name == name and key.revoked_at]
            if ended:
                since = day_and_time(max(ended))
                talk().print(f"[green]✓[/] {escape(name)} was revoked already, {since}")
                return 0
            names = [key.name for key in keys if key.revoked_at is None]
            raise UsageError(f"there is no key {name!r}", next_step=suggestion(name, names))
    talk().print(f"[green]✓[/] {escape(name)} is revoked; its ceilings and books are kept")
    return 0


def _wish(account: str, budget: str) -> Wish:
    """The ceiling on a key's account."""
    if not account:
        raise UsageError(
            "--budget would bind everybody, because the account is everybody's",
            next_step="Give --account, or leave both out for an account of the key's own.",
        )
    return read_wish(budget, "--budget")


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


def _check_models(patterns: tuple[str, ...], known: Mapping[str, Model]) -> None:
    """Refuse what no model is called that the gateway could price.

    Raises:
        UsageError: a name has no price, or a pattern matches no model with one.
    """
    for pattern in matches_nothing(patterns, known):
        # Iterating gives the models Helios chooses from; asking by name finds every other one.
        if split_vendor(pattern)[0] is None and pattern in known:
            continue
        from helios.bootstrap.pricelist import priced_models

        others = {*known, *priced_models()}
        if any(sign in pattern for sign in "*?[") and not matches_nothing((pattern,), others):
            continue
        raise UsageError(
            f"--models {pattern!r}: no model with a price is called so",
            next_step=suggestion(pattern, known),
        )


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
