"""No containment: the same limits, the same clean environment, the same certain end."""

import asyncio
import os
import shutil
import signal
import tempfile
from contextlib import ExitStack, suppress

from helios.ports.sandbox import SandboxCommand, SandboxResult
from helios.sandboxes.interpreter import search_path
from helios.sandboxes.limits import rlimits
from helios.sandboxes.starting import (
    LANGUAGE,
    REAPER,
    Started,
    check_command,
    memory_file,
    orders,
    reaper_arguments,
    spawn,
)
from helios.sandboxes.supervision import shell_exit_code, supervise
from helios.sandboxes.waiting import readable, uninterrupted


class DirectSandbox:
    """Runs commands with all the rights of the service, for those who have chosen that."""

    name = "direct"
    contains = False

    async def run(self, command: SandboxCommand) -> SandboxResult:
        """Run to the end or to a limit; no process is left when this returns or raises.

        HOME and TMPDIR are an empty directory that is removed afterwards. A command that kills
        the reaper above it gets away: nothing is contained here.

        Raises:
            UsageError: the command, its environment or its work directory cannot be used.
            SandboxUnavailable: no process can be started.
        """
        check_command(command)
        scratch = tempfile.mkdtemp(prefix="helios-direct-")
        try:
            return await supervise(_DirectTree(_start(command, scratch)), command.limits)
        finally:
            await uninterrupted(asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True))


def _start(command: SandboxCommand, scratch: str) -> Started:
    own = {"PATH": search_path(), "HOME": scratch, "TMPDIR": scratch, **LANGUAGE}
    limits = rlimits(command.limits, own_processes=None)
    with ExitStack() as lent:
        told = memory_file(lent, orders(command.command, limits, {**own, **command.env}))
        arguments = reaper_arguments(str(REAPER), told)
        return spawn(arguments, cwd=command.workdir, pass_fds=(told,))


class _DirectTree:
    """The reaper, which kills everything below it once its lifeline ends."""

    def __init__(self, started: Started) -> None:
        self._process = started.process
        self._lifeline = started.lifeline
        self.output = started.output
        self.exit_fd = os.pidfd_open(started.process.pid)
        self.root = started.process.pid

    async def ready(self) -> None:
        """All is known."""

    def kill(self) -> None:
        """End the lifeline; a reaper that the command has stopped must go on to see it."""
        self._lifeline.close()
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.exit_fd, signal.SIGCONT)

    async def gone(self) -> int:
        """Wait for the reaper, which leaves last."""
        await readable(self.exit_fd)
        exit_code = shell_exit_code(self._process.wait())
        os.close(self.exit_fd)
        return exit_code
