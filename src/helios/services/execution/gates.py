"""Runs the commands that decide whether a result is accepted."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from helios.domain.review.verdict import GateResult
from helios.domain.workflow.spec import Gate
from helios.ports.sandbox import Sandbox, SandboxCommand, SandboxLimits, SandboxResult

MOST_OUTPUT = 8_000


async def run_command(
    sandbox: Sandbox, command: str, workdir: Path, timeout_s: float
) -> SandboxResult:
    """One command in the sandbox, with a wall clock of its own."""
    limits = replace(SandboxLimits(), wall_s=timeout_s, cpu_s=max(1.0, timeout_s))
    return await sandbox.run(SandboxCommand(command, workdir, limits=limits))


async def run_gates(sandbox: Sandbox, gates: Sequence[Gate], workdir: Path) -> list[GateResult]:
    """The gates in order, up to the first that fails."""
    results: list[GateResult] = []
    for gate in gates:
        result = await run_command(sandbox, gate.run, workdir, gate.timeout_s)
        results.append(GateResult(gate.run, result.ok, result.seconds, describe(result)))
        if not result.ok:
            break
    return results


def describe(result: SandboxResult) -> str:
    """The end of what a command printed, and why it was stopped if it was."""
    shown = result.output[-MOST_OUTPUT:]
    if result.stopped:
        return f"{shown}\n[stopped by the sandbox: {result.stopped}]"
    return shown
