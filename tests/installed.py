"""Clients that are tested as people install them, in folders of their own under `.cache`.

`python -m tests.installed` installs what is missing. Everything is pinned and checked by its hash;
where it comes from is the business of the machine's npm and pip.
"""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = Path(__file__).parent / "gateway" / "clients"
INSTALL_S = 900


class NotInstalledError(Exception):
    """It is not there and could not be installed; says why."""


@dataclass(frozen=True)
class Part:
    """Something installed: its folder, the pins it is made from, and the program in it."""

    name: str
    folder: Path
    pins: tuple[Path, ...]
    program: str
    steps: Callable[[Path], tuple[list[str], ...]]
    installer: str

    def path(self) -> Path:
        """The program, installed now if it is missing or its pins have changed.

        Raises:
            NotInstalledError: why not.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            # Several workers may ask for it at the same moment.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._fresh():
                self._install()
        return self.folder / self.program

    def _fresh(self) -> bool:
        done = self.folder / "done"
        return done.exists() and done.read_bytes() == self._pinned()

    def _pinned(self) -> bytes:
        return b"".join(pin.read_bytes() for pin in self.pins)

    def _install(self) -> None:
        if not shutil.which(self.installer):
            raise NotInstalledError(f"{self.name} needs {self.installer}, which is not installed")
        print(f"installing {self.name} ...", file=sys.stderr)
        for pin in self.pins:
            shutil.copy(pin, self.folder)
        for step in self.steps(self.folder):
            done = subprocess.run(
                step,
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=INSTALL_S,
                check=False,
            )
            if done.returncode:
                last = "\n".join(done.stderr.strip().splitlines()[-5:])
                raise NotInstalledError(f"{self.name} could not be installed: {last}")
        (self.folder / "done").write_bytes(self._pinned())


CLAUDE_CODE = Part(
    name="Claude Code",
    folder=ROOT / ".cache" / "claude-code",
    pins=(PINS / "claude-code" / "package.json", PINS / "claude-code" / "npm-shrinkwrap.json"),
    program="node_modules/.bin/claude",
    # The last step fails where the package has no binary for this machine.
    steps=lambda folder: (
        ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
        [str(folder / "node_modules/.bin/claude"), "--version"],
    ),
    installer="npm",
)

PYTHON_CLIENTS = Part(
    name="litellm and claude-agent-sdk",
    folder=ROOT / ".cache" / "python-clients",
    pins=(PINS / "python-clients.txt",),
    program="venv/bin/python",
    steps=lambda folder: (
        [sys.executable, "-m", "venv", "--clear", str(folder / "venv")],
        [str(folder / "venv/bin/python"), "-m", "pip", "install", "--quiet", "--no-deps",
         "--disable-pip-version-check", "--require-hashes", "-r", "python-clients.txt"],
    ),
    installer=sys.executable,
)  # fmt: skip


def main() -> int:
    """Install everything; what cannot be is said and left to the tests, which skip and count it."""
    for part in (CLAUDE_CODE, PYTHON_CLIENTS):
        try:
            part.path()
        except (NotInstalledError, OSError, subprocess.SubprocessError) as error:
            print(error, file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
