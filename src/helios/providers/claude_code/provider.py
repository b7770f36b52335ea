"""The user's own Claude Code, run as a program: opt-in, one person, this machine.

Helios starts the binary that the user installed and logged in, unmodified and with the environment
as it is. It reads, stores and passes on no token, and nothing of this goes through the gateway.
"""

import asyncio
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from helios.errors import ModelTimeout, RequestRefused, UsageError
from helios.ports.clock import Clock
from helios.ports.models import ModelReply, ModelRequest, Tool
from helios.providers.claude_code.command import LONGEST_ARGUMENT, arguments, spoken
from helios.providers.claude_code.memory import room_for
from helios.providers.claude_code.process import Ended, run
from helios.providers.claude_code.stream import read_reply

NAME = "claude-code"
INSTALL = "Install it (npm install -g @anthropic-ai/claude-code) and log in, or set claude_binary."
NOTICE = (
    "claude-code: Helios runs your own, unmodified Claude Code ({binary}) with the login you gave "
    "it, at most {most} at a time. This is for one person on this machine: the provider's terms "
    "forbid pooling a subscription or reaching it for others. Helios reads, stores and passes on "
    "no token. What is used counts against your plan."
)


class ClaudeCodeProvider:
    """One binary; every call is one process that makes one request.

    Args:
        binary: the program.
        folder: where it runs; empty, so that it finds no project to read.
        most: how many at a time.
        clock: dates what it says of the windows.
    """

    simulated = False
    """False: an endpoint that simulates says so with each answer."""

    def __init__(self, binary: Path, folder: Path, most: int, clock: Clock) -> None:
        self._binary = binary
        self._folder = folder
        self._clock = clock
        self._room = asyncio.Semaphore(most)
        self._threads = ThreadPoolExecutor(most, thread_name_prefix=NAME)

    @property
    def name(self) -> str:
        """What people call it."""
        return NAME

    async def call(self, request: ModelRequest) -> ModelReply:
        """Make one call; `request.timeout_s` bounds waiting for memory and the call together.

        Raises:
            ModelError: with `billed` saying what is certain about the charge.
        """
        argv = [str(self._binary), *arguments(request, _one_tool(request))]
        if any(len(argument.encode()) > LONGEST_ARGUMENT for argument in argv):
            raise _refused("its instructions or its tool are too long for a command line")
        started = False
        try:
            async with asyncio.timeout(request.timeout_s), self._room:
                started = True
                ended = await self._run(argv, spoken(request))
        except TimeoutError as error:
            raise ModelTimeout(
                f"{NAME}: no answer within {request.timeout_s:g} s",
                billed="unknown" if started else "no",
            ) from error
        return read_reply(ended, self._clock.now())

    async def count_tokens(self, request: ModelRequest) -> int | None:  # noqa: ARG002
        """None: it counts nothing beforehand."""
        return None

    async def close(self) -> None:
        """Let go of the threads; no process outlives its call."""
        self._threads.shutdown(wait=False)

    async def _run(self, argv: list[str], said: bytes) -> Ended:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return await run(argv, self._folder, said, self._threads)
        except OSError as error:
            raise RequestRefused(
                f"{NAME}: {self._binary} cannot be started: {error.strerror}",
                billed="no",
                next_step=INSTALL,
            ) from error


def open_claude_code(
    binary: str, folder: Path, clock: Clock, tell: Callable[[str], None]
) -> ClaudeCodeProvider:
    """The provider over the user's binary; tells them what that means, once.

    Raises:
        UsageError: there is no such program.
    """
    found = shutil.which(binary)
    if found is None:
        raise UsageError(f"Claude Code is not here: no program {binary!r}", next_step=INSTALL)
    most = room_for()
    tell(NOTICE.format(binary=found, most=most))
    return ClaudeCodeProvider(Path(found), folder, most, clock)


def _one_tool(request: ModelRequest) -> Tool | None:
    """The tool to answer with; the program itself would carry out any other."""
    plain = all(not (message.calls or message.results) for message in request.messages)
    if plain and len(request.offered) <= 1 and bool(request.offered) is request.forced:
        return request.offered[0] if request.offered else None
    raise _refused("it answers in words or with one tool it must call, and takes no others")


def _refused(why: str) -> RequestRefused:
    return RequestRefused(
        f"{NAME}: {why}", billed="no", next_step="Name a model of another vendor for this task."
    )
