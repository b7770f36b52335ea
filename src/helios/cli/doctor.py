"""doctor: what is installed, reachable and missing, and the cure."""

import platform
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from helios import __version__
from helios.cli.options import AsJson, SettingFlags, go
from helios.cli.terminal import out, print_json
from helios.config import Settings

if TYPE_CHECKING:
    from helios.ports.audit import Findings

MARKS = {"ok": "[green]✓[/]", "note": "[yellow]•[/]", "bad": "[bold red]✗[/]"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: ok, a note, or bad with its cure."""

    what: str
    verdict: Literal["ok", "note", "bad"]
    found: str
    cure: str = ""


def doctor(*, json: AsJson = False, flags: SettingFlags | None = None) -> int:
    """Look at this machine and these settings: what works, what is missing, and the cure."""
    return go(_doctor(as_json=json, flags=flags or SettingFlags()))


async def _doctor(*, as_json: bool, flags: SettingFlags) -> int:
    from rich.markup import escape

    settings = flags.settings()
    findings = [
        Finding("helios", "ok", f"{__version__} on Python {platform.python_version()}"),
        _git(),
        _sandbox(settings),
        *(await _database(settings)),
        *(await _redis(settings)),
        _provider(settings),
    ]
    bad = any(finding.verdict == "bad" for finding in findings)
    if as_json:
        print_json(
            {
                "schema": 1,
                "ok": not bad,
                "findings": [asdict(finding) for finding in findings],
                "settings": settings.shown(),
                "sources": dict(settings.sources),
            }
        )
        return int(bad)
    console = out()
    for finding in findings:
        console.print(f"{MARKS[finding.verdict]} [bold]{finding.what}[/]  {escape(finding.found)}")
        if finding.cure:
            console.print(f"    {escape(finding.cure)}")
    console.print("\n[dim]settings (value, source):[/]")
    for name, value in settings.shown().items():
        console.print(f"  {name} = {escape(value) or '-'}  [dim]{settings.sources[name]}[/]")
    return int(bad)


def _git() -> Finding:
    found = shutil.which("git")
    if found:
        return Finding("git", "ok", "found")
    return Finding("git", "bad", "not found", "Install it: apt-get install git")


def _sandbox(settings: Settings) -> Finding:
    from helios.bootstrap.house import sandbox_state

    works, sentence = sandbox_state()
    if works:
        return Finding("sandbox", "ok", sentence)
    if settings.sandbox == "direct":
        return Finding("sandbox", "note", f"{sentence}; agents' code runs without containment")
    cure = "Install bubblewrap (apt-get install bubblewrap), or run with --sandbox direct."
    return Finding("sandbox", "bad", sentence, cure)


async def _database(settings: Settings) -> list[Finding]:
    from helios.bootstrap.house import open_house
    from helios.errors import HeliosError

    try:
        async with open_house(settings) as house:
            await (await house.desk()).governor.status()
            found = await house.stores.auditor.verify()
            return [Finding("database", "ok", house.stores.url), _books(found)]
    except HeliosError as error:
        return [Finding("database", "bad", error.message, error.next_step)]


def _books(found: "Findings") -> Finding:
    wrong = len(found.mismatches)
    if not wrong:
        return Finding("books", "ok", f"agree with their calls (windows: {found.windows:,})")
    cure = "`helios budget verify` lists them, `helios budget rebuild` writes them anew."
    return Finding("books", "bad", f"wrong in {wrong:,} of {found.windows:,} windows", cure)


async def _redis(settings: Settings) -> list[Finding]:
    if not settings.redis:
        return []
    from helios.bootstrap.house import open_house
    from helios.bootstrap.mirroring import mirrored
    from helios.errors import HeliosError

    try:
        async with open_house(settings) as house, mirrored(house) as mirroring:
            written = mirroring is not None and await mirroring.rebuild()
    except HeliosError as error:
        return [Finding("redis mirror", "bad", error.message, error.next_step)]
    if written:
        return [Finding("redis mirror", "ok", "holds what the ledger says")]
    cure = "Start it, or mend the setting `redis`. Nothing waits for it: it only mirrors."
    return [Finding("redis mirror", "note", "does not answer", cure)]


def _provider(settings: Settings) -> Finding:
    from helios.bootstrap.providers import checked_provider
    from helios.errors import UsageError

    try:
        usual = checked_provider(settings)
    except UsageError as error:
        return Finding("model provider", "bad", error.message, error.next_step)
    if usual == "simulator":
        return Finding(
            "model provider",
            "note",
            "none: runs are answered by the simulator and say so",
            "Set ANTHROPIC_API_KEY, or the setting `provider`, to ask a real model.",
        )
    keys = {
        "anthropic": settings.api_key,
        "openai": settings.openai_api_key or settings.openai_base_url,
        "google": settings.google_api_key,
    }
    if usual == "claude-code" and not shutil.which(settings.claude_binary):
        cure = "Install it (npm install -g @anthropic-ai/claude-code), or set claude_binary."
        return Finding("model provider", "bad", f"no program {settings.claude_binary!r}", cure)
    others = [name for name, key in keys.items() if key and name != usual]
    besides = f"; besides: {', '.join(others)}" if others else ""
    shown = "Anthropic API, key set" if usual == "anthropic" else usual
    return Finding("model provider", "ok", f"{shown} (not tried: that would cost){besides}")
