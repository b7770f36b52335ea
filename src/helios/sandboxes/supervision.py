"""Sees a tree of processes to its end, whatever that end is."""

import asyncio
import signal
from time import perf_counter
from typing import IO, Protocol

from helios.ports.sandbox import SandboxLimits, SandboxResult
from helios.sandboxes.output import BoundedOutput
from helios.sandboxes.process_tree import measure
from helios.sandboxes.waiting import CHUNK_BYTES, open_reader, readable, uninterrupted

SAMPLE_S = 0.05
# A flood of output is read at most at CHUNK_BYTES per pause, so that it cannot starve the loop.
FLOOD_PAUSE_S = 0.001
# How long a writer that escaped a sandbox without containment can keep the result waiting.
LAST_OUTPUT_S = 1.0

CPU_TIME = "cpu time"


class Tree(Protocol):
    """A started command."""

    @property
    def root(self) -> int:
        """The process below which everything is counted; known once `ready` has returned."""
        ...

    @property
    def output(self) -> IO[bytes]:
        """The reading end of what the command prints."""
        ...

    @property
    def exit_fd(self) -> int:
        """A pidfd of the process whose end is the command's end."""
        ...

    async def ready(self) -> None:
        """Learn what it takes to measure and to kill the tree."""
        ...

    def kill(self) -> None:
        """Begin to kill whatever is left. May be called again, and after the end."""
        ...

    async def gone(self) -> int:
        """Wait until no process is left; the exit code as a shell counts it."""
        ...


async def supervise(tree: Tree, limits: SandboxLimits) -> SandboxResult:
    """Wait for the command's end or for a limit; no process is left when this returns or raises."""
    began = perf_counter()
    kept = BoundedOutput(limits.output_bytes)
    reading = asyncio.create_task(_read(tree.output, kept))
    stopped = ""
    exit_code = 0
    try:
        await uninterrupted(tree.ready())
        stopped = await _watch(tree, limits, began)
    finally:
        tree.kill()
        exit_code = await uninterrupted(_finish(tree, reading))
    if not stopped and exit_code == 128 + signal.SIGXCPU:
        stopped = CPU_TIME
    return SandboxResult(exit_code, kept.text(), perf_counter() - began, stopped)


def shell_exit_code(returncode: int) -> int:
    """128 + n for a process that signal n has ended, as a shell reports it."""
    return returncode if returncode >= 0 else 128 - returncode


async def _watch(tree: Tree, limits: SandboxLimits, began: float) -> str:
    """Until the command ends by itself ("") or goes over a limit (which one)."""
    end = asyncio.create_task(readable(tree.exit_fd))
    try:
        while True:
            left_s = limits.wall_s - (perf_counter() - began)
            if left_s <= 0:
                return "wall clock"
            done, _ = await asyncio.wait([end], timeout=min(SAMPLE_S, left_s))
            if done:
                return ""
            exceeded = _exceeded(tree.root, limits)
            if exceeded:
                return exceeded
    finally:
        end.cancel()


def _exceeded(root: int, limits: SandboxLimits) -> str:
    usage = measure(root, tasks_at_most=limits.processes, memory_at_most=limits.memory_bytes)
    if usage.tasks > limits.processes:
        return "processes"
    if usage.memory_bytes > limits.memory_bytes:
        return "memory"
    if usage.cpu_s > limits.cpu_s:
        return CPU_TIME
    return ""


async def _read(pipe: IO[bytes], kept: BoundedOutput) -> None:
    reader, transport = await open_reader(pipe)
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            kept.add(chunk)
            if kept.full:
                await asyncio.sleep(FLOOD_PAUSE_S)
    finally:
        transport.close()


async def _finish(tree: Tree, reading: asyncio.Task[None]) -> int:
    exit_code = await tree.gone()
    await asyncio.wait([reading], timeout=LAST_OUTPUT_S)
    if reading.done():
        reading.result()
    else:
        reading.cancel()
        await asyncio.wait([reading])
    return exit_code
