"""budget verify and rebuild: whether the books agree with their entries, and writing them anew."""

import sys
from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Parameter

from helios.cli.options import AsJson, SettingFlags, go
from helios.cli.terminal import next_command, out, print_json, talk
from helios.errors import UsageError
from helios.ports.audit import Findings, Mismatch

WRONG = 1


def verify(*, json: AsJson = False, flags: SettingFlags | None = None) -> int:
    """Add every window up anew from its calls and say where the books differ."""
    from helios.cli.budget_audit_view import show_mismatches, verdict

    found = go(_look(flags or SettingFlags()))
    if json:
        mismatches = [_mismatch(wrong) for wrong in found.mismatches]
        print_json({"schema": 1, "ok": not mismatches, **_size(found), "mismatches": mismatches})
    else:
        show_mismatches(out(), found.mismatches)
        out().print(verdict(found))
        if _mendable(found):
            next_command("helios budget rebuild")
    return WRONG if found.mismatches else 0


def rebuild(
    *,
    yes: Annotated[bool, Parameter(negative="", help="Ask nothing, for scripts.")] = False,
    json: AsJson = False,
    flags: SettingFlags | None = None,
) -> int:
    """Write books that differ anew from their calls; shows them and asks before."""
    from helios.cli.budget_audit_view import outcome, show_mismatches

    flags = flags or SettingFlags()
    told, shown = talk() if json else out(), tuple[Mismatch, ...]()
    if yes:
        done = go(_rebuild(flags))
    else:
        _demand_a_terminal()
        found = go(_look(flags))
        shown = found.mismatches
        show_mismatches(told, shown)
        if _mendable(found) and not _agreed():
            talk().print("[yellow]■[/] nothing was changed")
            return WRONG
        # What nobody was asked about is not written, even if it went wrong just now.
        done = go(_rebuild(flags)) if _mendable(found) else found
    changed = _mendable(done)
    left = [wrong for wrong in done.mismatches if wrong not in changed]
    if json:
        lists = {"changed": changed, "left": left}
        listed = {name: [_mismatch(wrong) for wrong in which] for name, which in lists.items()}
        print_json({"schema": 1, "ok": not left, **_size(done), **listed})
    else:
        if done.mismatches != shown:
            show_mismatches(told, done.mismatches)
        told.print(outcome(done))
    return WRONG if left else 0


async def _look(flags: SettingFlags) -> Findings:
    from helios.bootstrap.house import open_house

    async with open_house(flags.settings()) as house:
        return await house.stores.auditor.verify()


async def _rebuild(flags: SettingFlags) -> Findings:
    from helios.bootstrap.house import open_house

    async with open_house(flags.settings()) as house:
        return await house.stores.auditor.rebuild()


def _demand_a_terminal() -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "the books are written anew only when somebody agrees, and there is no terminal to ask",
            next_step="`helios budget verify` shows what is wrong; with --yes nobody is asked.",
        )


def _agreed() -> bool:
    try:
        answer = talk().input("Write these books anew from their calls? (y/N) ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def _mendable(found: Findings) -> list[Mismatch]:
    return [wrong for wrong in found.mismatches if wrong.booked]


def _size(found: Findings) -> dict[str, int]:
    return {"limits": found.limits, "windows": found.windows}


def _mismatch(wrong: Mismatch) -> dict[str, Any]:
    """A mismatch as plain data: amounts in its unit, times in UTC seconds."""
    return {
        "limit": wrong.limit_key,
        "label": wrong.label,
        "unit": str(wrong.unit) if wrong.unit else None,
        "opened_at": wrong.opened_at,
        "booked": asdict(wrong.booked) if wrong.booked else None,
        "added_up": asdict(wrong.added_up),
    }
