"""What the tests do and see from outside of the sandbox."""

import asyncio
import time
from pathlib import Path

from helios.ports.sandbox import Sandbox, SandboxCommand, SandboxLimits, SandboxResult

LIMITS = SandboxLimits(wall_s=20.0)


def run(
    sandbox: Sandbox,
    workdir: Path,
    command: str,
    limits: SandboxLimits = LIMITS,
    env: dict[str, str] | None = None,
) -> SandboxResult:
    """One command in a loop of its own."""
    return asyncio.run(sandbox.run(SandboxCommand(command, workdir, env or {}, limits)))


def run_python(
    sandbox: Sandbox, workdir: Path, code: str, limits: SandboxLimits = LIMITS
) -> SandboxResult:
    """A Python program, from a file beside the work."""
    (workdir / "program.py").write_text(code, encoding="utf-8")
    return run(sandbox, workdir, "python program.py", limits)


def processes_with(token: str) -> list[int]:
    """Living processes whose command line holds `token`, this one excepted."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            command_line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if token.encode() in command_line:
            found.append(int(entry.name))
    return found


def wait_for(condition: object, seconds: float = 10.0) -> bool:
    """Whether `condition()` becomes true in time."""
    assert callable(condition)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())
