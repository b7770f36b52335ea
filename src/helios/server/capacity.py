"""How many connections this process can hold."""

import resource

MOST_FILES = 65_536
MOST_CONNECTIONS = 4_096
SPARE_FILES = 200
"""For the store, its threads, logs and what is started besides."""
FEWEST = 16


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
