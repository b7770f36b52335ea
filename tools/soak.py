"""The long search for a way to overrun the budget: 1,000 kills, thousands of orders of events."""

import subprocess
import sys

KILLS = 1_000
SEARCHES = (
    [sys.executable, "-m", "tests.proof.kills", str(KILLS)],
    [
        *(sys.executable, "-m", "pytest", "-q", "--hypothesis-profile", "explore"),
        *("-k", "keeps_every_invariant", "tests/proof/test_invariants.py"),
    ],
)


def main() -> int:
    """Do each to its end; how many failed."""
    return sum(subprocess.run(search, check=False).returncode != 0 for search in SEARCHES)


if __name__ == "__main__":
    raise SystemExit(main())
