"""Run the checks and all tests, and close with one line that counts passed, failed and skipped."""

import re
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
CHECKS = (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["lint-imports"], ["mypy"])
COUNTED = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")


def main() -> int:
    """Lint, floors and types first: they are cheap and part of the promise."""
    failed_checks = sum(_run([str(BIN / check[0]), *check[1:]])[0] != 0 for check in CHECKS)
    # Before the tests, because it takes longer than one of them may.
    _run([sys.executable, "-m", "tests.installed"])
    code, last = _run([sys.executable, "-m", "pytest", "-q", "-n", "2", *sys.argv[1:]])
    counts = {"passed": len(CHECKS) - failed_checks, "failed": failed_checks, "skipped": 0}
    for number, word in COUNTED.findall(last):
        counts["failed" if word.startswith("error") else word] += int(number)
    print(", ".join(f"{count} {word}" for word, count in counts.items()))
    return code or int(failed_checks > 0)


def _run(command: list[str]) -> tuple[int, str]:
    """Run a command, its output shown as it comes; its exit code and its last counting line."""
    print("$", " ".join([Path(command[0]).name, *command[1:]]), flush=True)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    last = ""
    for line in process.stdout or ():
        print(line, end="", flush=True)
        last = line if COUNTED.search(line) else last
    return process.wait(), last


if __name__ == "__main__":
    raise SystemExit(main())
