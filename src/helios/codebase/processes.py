"""Run a program to its end; nothing of it outlives the caller's cancellation."""

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from helios.errors import WorkspaceError

_LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended."""

    code: int
    out: bytes
    err: bytes

    @property
    def last_words(self) -> str:
        """The line of stderr that says what went wrong, else its last one."""
        lines = self.err.decode(errors="replace").strip().splitlines()
        said = [line for line in lines if line.startswith(("fatal: ", "error: "))]
        return (said or lines or [f"exit code {self.code}, no message"])[-1].strip()


async def run_program(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: bytes | IO[bytes] = b"",
    guard: Path | None = None,
) -> Ended:
    """Run a program in a process group of its own, which is killed when the caller is cancelled.

    Args:
        argv: the program and its arguments.
        env: its whole environment.
        cwd: where it runs.
        stdin: what it reads, or an open file of it.
        guard: a file that `wait_until_idle` takes to see whether the program still runs, also
            when we are killed and it is not.

    Raises:
        WorkspaceError: the program or its work directory is not there.
    """
    given, file = (stdin, None) if isinstance(stdin, bytes) else (None, stdin)
    process = _start(argv, env, cwd, file, guard)
    # In a thread: asyncio's own processes may hang for ever when they are cancelled at their start.
    loop = asyncio.get_running_loop()
    ending = loop.run_in_executor(None, process.communicate, given)
    try:
        out, err = await asyncio.shield(ending)
    except asyncio.CancelledError:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await asyncio.wait({ending})  # reads the pipes to their end, so that they are closed
        raise
    return Ended(process.returncode, out, err)


def _start(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    stdin: IO[bytes] | None,
    guard: Path | None,
) -> "subprocess.Popen[bytes]":
    guards = () if guard is None else (_shared_lock(guard),)
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
            pass_fds=guards,
        )
    except OSError as error:
        raise WorkspaceError(f"cannot start {argv[0]} in {cwd}: {error.strerror}") from error
    finally:
        for held in guards:
            os.close(held)  # from here on the program alone holds the lock


async def uncut(act: Coroutine[Any, Any, None]) -> None:
    """Do something short to its end, also when the caller is cancelled in the middle of it."""
    doing = asyncio.ensure_future(act)
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait({doing})
        raise


async def wait_until_idle(guard: Path, *, most_s: float = 60.0) -> None:
    """Wait for programs that were started with this guard, by whichever process.

    Raises:
        WorkspaceError: one of them is still running after `most_s` seconds.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + most_s
    while not _is_idle(guard):
        if loop.time() >= end:
            raise WorkspaceError(
                f"a Git of an earlier start is still at work ({guard.name})",
                next_step="End it or wait for it, then resume the run.",
            )
        await asyncio.sleep(_LOOK_EVERY_S)  # real time: other processes know no other


def _shared_lock(guard: Path) -> int:
    held = os.open(guard, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(held, fcntl.LOCK_SH)
    return held


def _is_idle(guard: Path) -> bool:
    if not guard.exists():
        return True
    asked = os.open(guard, os.O_RDWR)
    try:
        fcntl.flock(asked, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(asked)
