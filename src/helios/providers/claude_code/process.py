"""Runs the program to its end, and never leaves it running behind."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended and what it printed; a negative `code` is the signal that killed it."""

    code: int
    out: bytes
    err: bytes


async def run(argv: Sequence[str], folder: Path, said: bytes, threads: Executor) -> Ended:
    """Run a program with this process's own environment, in a group that dies with the caller.

    Args:
        argv: the program and its arguments.
        folder: where it runs.
        said: what it reads.
        threads: one is taken for as long as it runs.

    Raises:
        OSError: it cannot be started.
    """
    process = _start(argv, folder)
    # In a thread: asyncio's own processes may hang for ever when they are cancelled at their start.
    ending = asyncio.get_running_loop().run_in_executor(threads, process.communicate, said)
    try:
        out, err = await asyncio.shield(ending)
    except asyncio.CancelledError:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await asyncio.wait({ending})  # reads the pipes to their end, so that they are closed
        raise
    return Ended(process.returncode, out, err)


def _start(argv: Sequence[str], folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        start_new_session=True,
    )
