"""Runs a command and leaves no process of it behind. A program of its own, not to be imported.

    python -I -S reaper.py FD

From descriptor FD it reads its orders (see `starting.orders`). Its input is its lifeline: the end
of it, which comes when the service lets go or dies in whatever way, ends the command. In the
contained sandbox it is process 1, with which the kernel ends all others; elsewhere every orphan
below it becomes its child, so that none gets away by a second fork.

Its imports are few because they are most of what a start costs.
"""

import os
import resource
import select
import signal
import sys

PR_SET_CHILD_SUBREAPER = 36
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
RESTORED = (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, *STOP_SIGNALS)
LIFELINE = 0
FIRST_OTHER_FD, FD_LIMIT = 3, 1 << 20
KILLED = 128 + signal.SIGKILL
CANNOT_RUN = 126
# Programs that run as another user (sudo) cannot be killed; they are not waited for any longer.
KILL_ATTEMPTS, KILL_PAUSE_S = 100, 0.05


def main(orders_fd: int) -> int:
    """The command's exit code as a shell reports it."""
    fields = _read_all(orders_fd).split(b"\0")
    rlimits = fields[1 : fields.index(b"", 1)]
    variables = fields[len(rlimits) + 2 :]
    os.closerange(FIRST_OTHER_FD, FD_LIMIT)
    is_first = os.getpid() == 1
    if not is_first:
        _adopt_orphans()
    wakeups = _wake_up_by_signals()
    child = os.fork()
    if child == 0:
        _become(fields[0], rlimits, variables)
    try:
        return _wait(child, wakeups)
    finally:
        if not is_first:
            _kill_descendants()


def _read_all(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as file:
        return file.read()


def _adopt_orphans() -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot adopt orphans")


def _wake_up_by_signals() -> int:
    """A descriptor on which the number of each signal arrives as a byte."""
    reading, writing = os.pipe()
    for fd in (reading, writing):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, *STOP_SIGNALS):
        signal.signal(number, lambda _number, _frame: None)
    return reading


def _become(command: bytes, rlimits: list[bytes], variables: list[bytes]) -> None:
    """Never returns: becomes the command, or says why not and ends."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in RESTORED:
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), LIFELINE)
        for line in rlimits:
            name, soft, hard = line.decode().split(":")
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (int(soft), int(hard)))
        env = dict(variable.split(b"=", 1) for variable in variables)
        os.execve("/bin/sh", [b"/bin/sh", b"-c", command], env)  # noqa: S606 it is shell code
    except OSError as error:
        os.write(2, f"The command could not be started: {error.strerror}.\n".encode())
    finally:
        os._exit(CANNOT_RUN)


def _wait(child: int, wakeups: int) -> int:
    poll = select.poll()
    for fd in (LIFELINE, wakeups):
        poll.register(fd, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        numbers = os.read(wakeups, 4096) if wakeups in ready else b""
        for pid, exit_code in _reap():
            if pid == child:
                return exit_code
        if LIFELINE in ready or any(number in STOP_SIGNALS for number in numbers):
            return KILLED


def _reap() -> list[tuple[int, int]]:
    """Children that have ended, with their exit codes."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        exit_code = os.waitstatus_to_exitcode(status)
        ended.append((pid, exit_code if exit_code >= 0 else 128 - exit_code))


def _kill_descendants() -> None:
    for attempt in range(KILL_ATTEMPTS):
        _kill_once()
        _reap()
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        select.select([], [], [], min(KILL_PAUSE_S, 0.001 * attempt))


def _kill_once() -> None:
    processes = _processes()
    mine = _below(os.getpid(), {pid: parent for pid, (parent, _) in processes.items()})
    foreign = {group for pid, (_, group) in processes.items() if pid not in mine}
    # Whole groups at once, or a fork bomb would be faster; but never a group others belong to,
    # and never 0 or 1, which mean "our own" and "everybody" to the kernel.
    for group in {processes[pid][1] for pid in mine} - foreign - {0, 1}:
        _kill(-group)
    for pid in mine:
        _kill(pid)


def _kill(target: int) -> None:
    try:
        os.kill(target, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # gone meanwhile, or another user's: KILL_ATTEMPTS bounds how often


def _processes() -> dict[int, tuple[int, int]]:
    """Parent and process group of every process."""
    found: dict[int, tuple[int, int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                stat = _read_all(os.open(f"/proc/{entry}/stat", os.O_RDONLY))
            except (FileNotFoundError, ProcessLookupError):
                continue  # gone meanwhile
            fields = stat.rpartition(b")")[2].split()
            found[int(entry)] = int(fields[1]), int(fields[2])
    return found


def _below(root: int, parents: dict[int, int]) -> set[int]:
    found: set[int] = set()
    level = {root}
    while level:
        level = {pid for pid, parent in parents.items() if parent in level}
        found |= level
    return found


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
