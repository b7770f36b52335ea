"""How the gateway's keys look in a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from helios.cli.terminal import day_and_time
from helios.domain.gateway.key import GatewayKey, KeyState

STYLES = {KeyState.LIVE: "green", KeyState.EXPIRED: "yellow", KeyState.REVOKED: "dim"}


def show_keys(console: Console, keys: Sequence[GatewayKey], now: float) -> None:
    """A row a key."""
    if not keys:
        console.print("no keys yet: the gateway lets in whoever reaches it")
        console.print("[dim]next:[/] helios keys create NAME")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("name", "account", "models", "rate", "policy", "state", "last used"):
        table.add_column(heading, overflow="fold")
    for key in keys:
        state = key.state(now)
        table.add_row(
            escape(key.name),
            escape(key.account) or "everybody",
            escape("\n".join(key.models)) or "all",
            f"{key.calls_per_minute}/min" if key.calls_per_minute else "-",
            str(key.policy),
            f"[{STYLES[state]}]{state}[/]",
            "never" if key.last_used_at is None else day_and_time(key.last_used_at),
        )
    console.print(table)
