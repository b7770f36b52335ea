"""The limits of a command in the kernel's terms."""

import math
import resource

from helios.ports.sandbox import SandboxLimits

OPEN_FILES = 1024
SECONDS_AFTER_SIGXCPU = 2

Rlimits = dict[str, tuple[int, int]]
"""Soft and hard limit by the name of the resource without RLIMIT_."""


def rlimits(limits: SandboxLimits, *, own_processes: int | None) -> Rlimits:
    """What the kernel holds each process to, never above what it holds us to.

    It counts processes per user and user namespace. `own_processes` says how many the sandbox
    itself has there; None means that the namespace is not the command's own, where a limit would
    count strangers, so that there is none.
    """
    cpu_s = max(1, math.ceil(limits.cpu_s))
    wanted = {
        "AS": (limits.memory_bytes, limits.memory_bytes),
        "CORE": (0, 0),
        "CPU": (cpu_s, cpu_s + SECONDS_AFTER_SIGXCPU),
        "FSIZE": (limits.file_bytes, limits.file_bytes),
        "NOFILE": (OPEN_FILES, OPEN_FILES),
    }
    if own_processes is not None:
        tasks = limits.processes + own_processes
        wanted["NPROC"] = (tasks, tasks)
    return {name: _at_most_ours(name, *pair) for name, pair in wanted.items()}


def _at_most_ours(name: str, soft: int, hard: int) -> tuple[int, int]:
    # Only a privileged process may raise a hard limit, so asking for more would fail.
    _, ours = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
    if ours == resource.RLIM_INFINITY:
        return soft, hard
    return min(soft, ours), min(hard, ours)
