"""How many processes this machine has memory for."""

from pathlib import Path

PROCESS_BYTES = 207 << 20
"""What one process was measured to hold at its most, rounded up."""
SHARE = 0.5
"""Of the memory that is free; the rest is for the work itself."""
MEMINFO = Path("/proc/meminfo")


def room_for(meminfo: Path = MEMINFO) -> int:
    """How many processes fit into the share of what is free now: at least one.

    One where the system does not say what is free.
    """
    try:
        text = meminfo.read_text(encoding="ascii")
    except OSError:
        return 1
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return max(1, int(int(value.split()[0]) * 1024 * SHARE / PROCESS_BYTES))
    return 1
