"""The contained sandbox: bubblewrap's namespaces, a system call filter, limits."""

import asyncio
import json
import os
import platform
import shutil
import signal
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from helios.errors import SandboxUnavailable
from helios.ports.sandbox import SandboxCommand, SandboxResult
from helios.sandboxes.interpreter import our_interpreter, search_path
from helios.sandboxes.limits import rlimits
from helios.sandboxes.mounts import ETC_MADE, HOME, REAPER_PATH, USER_ID, MadeFile, file_system
from helios.sandboxes.seccomp import seccomp_program
from helios.sandboxes.starting import (
    LANGUAGE,
    Started,
    check_command,
    memory_file,
    orders,
    reaper_arguments,
    spawn,
)
from helios.sandboxes.supervision import shell_exit_code, supervise
from helios.sandboxes.waiting import open_reader, readable

# Without --die-with-parent: where the service dies before bubblewrap's two processes have found
# each other, it would kill one and leave the other waiting for ever, or running the command. The
# reaper, process 1, watches the lifeline instead.
ISOLATION = (
    *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
    *("--unshare-cgroup", "--disable-userns", "--new-session", "--as-pid-1"),
    *("--uid", str(USER_ID), "--gid", str(USER_ID), "--hostname", "sandbox"),
    *("--cap-drop", "ALL", "--clearenv"),
)
# For the kernel process 1 counts, for the limit it does not.
OWN_PROCESSES = 1

WAIVE = "use `--sandbox direct` to run without containment, at your own risk"
ALLOW_STEP = (
    "Use bubblewrap 0.8 or newer where user namespaces are allowed (Ubuntu forbids them by "
    f"`kernel.apparmor_restrict_unprivileged_userns`, containers by their profile), or {WAIVE}."
)


class BubblewrapSandbox:
    """Keeps commands from the network and from every file outside the work directory."""

    name = "bubblewrap"
    contains = True

    def __init__(self) -> None:
        """Find what is needed; whether it works is only known after a run.

        Raises:
            SandboxUnavailable: bubblewrap is missing, or this machine or installation of Python
                is not provided for.
        """
        self._bwrap = _find_bubblewrap()
        self._interpreter = our_interpreter()
        self._seccomp = seccomp_program(platform.machine())

    async def run(self, command: SandboxCommand) -> SandboxResult:
        """Run to the end or to a limit; no process is left when this returns or raises.

        Raises:
            UsageError: the command, its environment or its work directory cannot be used.
            SandboxUnavailable: bubblewrap could not build the sandbox; the command did not run.
        """
        check_command(command)
        tree = self._start(command)
        result = await supervise(tree, command.limits)
        if not tree.was_built and not result.stopped:
            raise SandboxUnavailable(
                f"bubblewrap could not build the sandbox: {result.output.strip()}",
                next_step=ALLOW_STEP,
            )
        return result

    def _start(self, command: SandboxCommand) -> "_BubblewrapTree":
        status, status_end = os.pipe()
        with ExitStack() as lent, ExitStack() as on_failure:
            status_pipe = on_failure.enter_context(os.fdopen(status, "rb", buffering=0))
            lent.callback(os.close, status_end)
            # bubblewrap holds a reading end as well: otherwise, once we are dead, its first report
            # would kill it at the same bad moment.
            status_held = os.dup(status)
            lent.callback(os.close, status_held)
            told = memory_file(lent, self._orders(command))
            seccomp = memory_file(lent, self._seccomp)
            made = [
                MadeFile(path, memory_file(lent, text.encode())) for path, text in ETC_MADE.items()
            ]
            workdir = command.workdir.resolve()
            options = [
                *ISOLATION,
                *file_system(workdir, self._interpreter, command.limits, made),
                *("--seccomp", str(seccomp), "--json-status-fd", str(status_end)),
            ]
            given = memory_file(lent, b"\0".join(os.fsencode(option) for option in options))
            fds = (given, told, seccomp, status_end, status_held)
            started = spawn(
                [self._bwrap, "--args", str(given), "--", *reaper_arguments(REAPER_PATH, told)],
                cwd=Path("/"),
                pass_fds=(*fds, *(file.fd for file in made)),
            )
            on_failure.pop_all()
            return _BubblewrapTree(started, status_pipe)

    def _orders(self, command: SandboxCommand) -> bytes:
        env = {"PATH": search_path(), "HOME": HOME, **LANGUAGE, **command.env}
        limits = rlimits(command.limits, own_processes=OWN_PROCESSES)
        return orders(command.command, limits, env)


class _BubblewrapTree:
    """bubblewrap's monitor on the host and the reaper, which is process 1 of the sandbox.

    The kernel ends a pid namespace as a whole: when its process 1 is gone, all are gone.
    """

    def __init__(self, started: Started, status_pipe: IO[bytes]) -> None:
        self._process = started.process
        self._lifeline = started.lifeline
        self._status_pipe = status_pipe
        self._status: tuple[asyncio.StreamReader, asyncio.ReadTransport] | None = None
        self._first_fd: int | None = None
        self.output = started.output
        self.exit_fd = os.pidfd_open(started.process.pid)
        self.root = 0
        self.was_built = False

    async def ready(self) -> None:
        """Learn who process 1 is."""
        self._status = await open_reader(self._status_pipe)
        line = await self._status[0].readline()
        if line:
            self.root = json.loads(line)["child-pid"]
            with suppress(ProcessLookupError):
                self._first_fd = os.pidfd_open(self.root)

    def kill(self) -> None:
        """Kill process 1; the monitor, which is its parent, then buries it and ends by itself."""
        self._lifeline.close()
        if self._first_fd is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first_fd, signal.SIGKILL)

    async def gone(self) -> int:
        """Wait for both; `was_built` is true from here on when the command was started."""
        await readable(self.exit_fd)
        exit_code = shell_exit_code(self._process.wait())
        os.close(self.exit_fd)
        if self._first_fd is not None:
            await readable(self._first_fd)
            os.close(self._first_fd)
        if self._status is not None:
            reader, transport = self._status
            self.was_built = b'"exit-code"' in await reader.read()
            transport.close()
        return exit_code


def _find_bubblewrap() -> str:
    path = shutil.which("bwrap")
    if path is None:
        raise SandboxUnavailable(
            "bubblewrap is not installed, so commands cannot be contained.",
            next_step=f"Install it (`apt-get install bubblewrap`), or {WAIVE}.",
        )
    return path
