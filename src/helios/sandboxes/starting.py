"""Starting a command, whatever contains it."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from helios.errors import SandboxUnavailable, UsageError
from helios.ports.sandbox import SandboxCommand
from helios.sandboxes.limits import Rlimits

REAPER = Path(__file__).with_name("reaper.py")
LANGUAGE = {"LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True, slots=True)
class Started:
    """A process, what it prints, and the line at whose end it and all below it end too.

    The line is a socket: unlike a pipe's, its other end cannot be opened again through /proc by a
    command that wants to outlive us.
    """

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    lifeline: socket.socket


def check_command(command: SandboxCommand) -> None:
    """Refuse what could not be handed on as it is.

    Raises:
        UsageError: a NUL byte anywhere (it would end what it is in and begin the next), a
            variable's name that is none, or a work directory that is not there.
    """
    if "\0" in command.command:
        raise UsageError("The command holds a NUL byte.", next_step="Remove it.")
    for name, value in command.env.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise UsageError(
                f"The environment variable {name!r} cannot be set: its name is empty or holds '=',"
                " or it holds a NUL byte.",
                next_step="Rename it, or encode its value.",
            )
    if not command.workdir.is_dir():
        raise UsageError(
            f"The work directory {command.workdir} does not exist.",
            next_step="Create it before a command runs in it.",
        )


def orders(command: str, rlimits: Rlimits, env: Mapping[str, str]) -> bytes:
    """What the reaper is told; it reads this from a descriptor, where nobody else can."""
    fields = [
        command,
        *(f"{name}:{soft}:{hard}" for name, (soft, hard) in rlimits.items()),
        "",
        *(f"{name}={value}" for name, value in env.items()),
    ]
    return b"\0".join(os.fsencode(field) for field in fields)


def reaper_arguments(reaper: str, orders_fd: int) -> list[str]:
    """Our interpreter without site-packages, which costs half the start."""
    return [sys.executable, "-I", "-S", reaper, str(orders_fd)]


def memory_file(stack: ExitStack, data: bytes) -> int:
    """A descriptor from which `data` can be read; the stack closes ours."""
    fd = os.memfd_create("helios-sandbox")
    stack.callback(os.close, fd)
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def spawn(arguments: Sequence[str], *, cwd: Path, pass_fds: Sequence[int]) -> Started:
    """Start a program in a session of its own, without any environment.

    Raises:
        SandboxUnavailable: the program cannot be started.
    """
    lifeline, other_end = socket.socketpair()
    try:
        process = subprocess.Popen(
            arguments,
            bufsize=0,
            cwd=cwd,
            env={},
            pass_fds=pass_fds,
            start_new_session=True,
            stdin=other_end.fileno(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        lifeline.close()
        raise SandboxUnavailable(
            f"{arguments[0]} could not be started: {error.strerror}.",
            next_step="Run `helios doctor`.",
        ) from error
    finally:
        other_end.close()
    assert process.stdout is not None
    return Started(process, process.stdout, lifeline)
