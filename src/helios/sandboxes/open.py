"""Sandboxes by name."""

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path

from helios.errors import SandboxUnavailable, UsageError
from helios.ports.sandbox import Sandbox, SandboxCommand, SandboxLimits
from helios.sandboxes.bubblewrap import ALLOW_STEP, BubblewrapSandbox
from helios.sandboxes.direct import DirectSandbox

ENTRY_POINTS = "helios.sandboxes"
OWN_NAMES = ("auto", "strict", "direct")

PROBE, PROBE_ANSWER = "python -c 'print(6 * 7)'", "42"
PROBE_LIMITS = SandboxLimits(wall_s=20.0)


def open_sandbox(name: str) -> Sandbox:
    """The sandbox called "strict" (bubblewrap), "direct", "auto" (strict) or as a plug-in is.

    Raises:
        SandboxUnavailable: it does not work here; nothing weaker is given instead.
        UsageError: nobody provides a sandbox of that name.
    """
    if name in ("auto", "strict"):
        return _working(BubblewrapSandbox())
    if name == "direct":
        return DirectSandbox()
    return _plug_in(name)


def probe_sandbox() -> tuple[bool, str]:
    """Whether commands can be contained on this machine, and a sentence that says so."""
    try:
        open_sandbox("strict")
    except SandboxUnavailable as error:
        return False, error.in_full
    return True, "bubblewrap works: commands are kept from the network and from other files."


def _working(sandbox: Sandbox) -> Sandbox:
    """Run something once: that a program is installed does not mean that the kernel lets it."""
    with tempfile.TemporaryDirectory(prefix="helios-probe-") as directory:
        command = SandboxCommand(PROBE, Path(directory), limits=PROBE_LIMITS)
        # In a thread, so that it may be asked for inside and outside of a running loop.
        with ThreadPoolExecutor(1) as thread:
            result = thread.submit(asyncio.run, sandbox.run(command)).result()
    if result.ok and result.output.strip() == PROBE_ANSWER:
        return sandbox
    raise SandboxUnavailable(
        f"A first command in the {sandbox.name} sandbox did not run "
        f"(exit code {result.exit_code}{f', {result.stopped}' if result.stopped else ''}): "
        f"{result.output.strip()}",
        next_step=ALLOW_STEP,
    )


def _plug_in(name: str) -> Sandbox:
    """What the entry point names: a class or a function that takes nothing."""
    found = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
    if name not in found:
        known = ", ".join((*OWN_NAMES, *sorted(found)))
        raise UsageError(f"There is no sandbox {name!r}.", next_step=f"Known are: {known}.")
    sandbox: Sandbox = found[name].load()()
    return sandbox
