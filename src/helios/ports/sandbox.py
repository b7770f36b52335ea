"""Where code of agents and of repositories runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What a command may take. Seconds and bytes."""

    wall_s: float = 300.0
    cpu_s: float = 300.0
    memory_bytes: int = 2 * 1024**3
    file_bytes: int = 512 * 1024**2
    processes: int = 256
    output_bytes: int = 256 * 1024


@dataclass(frozen=True, slots=True)
class SandboxCommand:
    """A shell command in a work directory, the only place it may write to."""

    command: str
    workdir: Path
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    limits: SandboxLimits = field(default_factory=SandboxLimits)


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """How a command ended.

    `output` is stdout and stderr as they came, bounded: the head and the tail when it was longer.
    `stopped` says which limit ended it ("wall clock", "memory", "processes"), else "".
    """

    exit_code: int
    output: str
    seconds: float
    stopped: str = ""

    @property
    def ok(self) -> bool:
        """Whether the command succeeded within its limits."""
        return self.exit_code == 0 and not self.stopped


class Sandbox(Protocol):
    """Runs commands; never falls back to something weaker than its name."""

    @property
    def name(self) -> str:
        """What people call it, such as bubblewrap or direct."""
        ...

    @property
    def contains(self) -> bool:
        """Whether commands are kept from the network and from files outside the work directory."""
        ...

    async def run(self, command: SandboxCommand) -> SandboxResult:
        """Run to the end or to a limit; the whole process tree is gone when this returns,
        also when the caller is cancelled.
        """
        ...
