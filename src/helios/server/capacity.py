"""How many connections this process can hold, and how much of what comes through them."""

import os
import resource
from contextlib import suppress
from pathlib import Path

MOST_FILES = 65_536
MOST_CONNECTIONS = 4_096
SPARE_FILES = 200
"""For the store, its threads, logs and what is started besides."""
FEWEST = 16
MOST_BODY_MEMORY = 1 << 30
SHARE_OF_MEMORY = 4
"""The process was measured to take twice what it holds of bodies; half of the memory is left."""
CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where Linux says how much this container may have, in version 2 and 1 of control groups."""


def allow_many_files() -> None:
    """Open as many files as the machine's owner allows: each connection is one or two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """How many clients may be connected at once: each may need a connection to the provider too."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(FEWEST, min(MOST_CONNECTIONS, (soft - SPARE_FILES) // 2))


def most_body_bytes() -> int:
    """How many bytes of requests' bodies may be held at once: a quarter of the memory, or 1 GB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # not there, or "max": no limit of that kind
            memory = min(memory, int(limit.read_text("ascii")))
    return min(MOST_BODY_MEMORY, memory // SHARE_OF_MEMORY)
