"""What a tree of processes takes, read from /proc.

Kernel limits alone do not do: RLIMIT_NPROC is not enforced for root, and RLIMIT_AS and RLIMIT_CPU
count each process by itself.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

# Fields of /proc/PID/stat, counted from the one behind the name in parentheses.
_PPID, _UTIME, _CSTIME, _THREADS, _RSS = 1, 11, 14, 17, 21

# Missing files of a process mean that it has ended meanwhile.
_ENDED = (FileNotFoundError, ProcessLookupError)


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """What the descendants of a process take together; `tasks` counts threads, as the kernel does.

    `cpu_s` includes what ended processes have used and the root itself.
    """

    tasks: int
    memory_bytes: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class _Process:
    threads: int
    resident_bytes: int
    cpu_s: float


def measure(root: int, *, tasks_at_most: int, memory_at_most: int) -> TreeUsage:
    """Add up everything below `root`; stops early once there are more tasks than `tasks_at_most`.

    Resident memory counts pages shared after a fork once per process. Only where that sum is above
    `memory_at_most` are shared pages divided among their owners, which is exact and costs more.
    """
    tasks, memory, cpu_s, pids = 0, 0, 0.0, list[int]()
    for pid, process in _walk(root):
        cpu_s += process.cpu_s
        if pid == root:
            continue
        tasks += process.threads
        memory += process.resident_bytes
        pids.append(pid)
        if tasks > tasks_at_most:
            break
    if memory > memory_at_most:
        memory = sum(_proportional_bytes(pid) for pid in pids)
    return TreeUsage(tasks, memory, cpu_s)


def _walk(root: int) -> Iterator[tuple[int, _Process]]:
    pending = [root]
    parents = None if _kernel_lists_children() else _children_by_parent()
    while pending:
        pid = pending.pop()
        try:
            process = _read_process(pid)
            pending.extend(_children(pid) if parents is None else parents.get(pid, []))
        except _ENDED:
            continue
        yield pid, process


def _read_stat(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()


def _read_process(pid: int) -> _Process:
    stat = _read_stat(pid)
    ticks = sum(int(field) for field in stat[_UTIME : _CSTIME + 1])
    return _Process(int(stat[_THREADS]), int(stat[_RSS]) * PAGE_BYTES, ticks / TICKS_PER_S)


def _kernel_lists_children() -> bool:
    return Path("/proc/thread-self/children").exists()


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with suppress(*_ENDED):
            listed = Path(f"/proc/{pid}/task/{thread}/children").read_bytes()
            found.extend(int(child) for child in listed.split())
    return found


def _children_by_parent() -> dict[int, list[int]]:
    """The same for kernels without CONFIG_PROC_CHILDREN: one look at every process."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with suppress(*_ENDED):
                children.setdefault(int(_read_stat(int(entry))[_PPID]), []).append(int(entry))
    return children


def _proportional_bytes(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_bytes()
    except _ENDED:
        return 0
    except PermissionError:
        with suppress(*_ENDED):
            return _read_process(pid).resident_bytes
        return 0
    for line in rollup.splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0
