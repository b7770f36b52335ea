"""What a command may take, and what happens to those that take more."""

import re
from pathlib import Path

import pytest

from helios.ports.sandbox import Sandbox, SandboxLimits
from tests.sandboxes.host import processes_with, run, run_python

pytestmark = pytest.mark.slow

MIB = 1024**2


def test_wall_clock(sandbox: Sandbox, workdir: Path) -> None:
    result = run(sandbox, workdir, "echo 시작; sleep 5.171; echo 끝", SandboxLimits(wall_s=0.5))
    assert result.stopped == "wall clock"
    assert not result.ok
    assert result.output.startswith("시작\n")
    assert 0.5 <= result.seconds < 2.0
    assert processes_with("5.171") == []


def test_wall_clock_reaches_who_ignores_signals_and_left_the_session(
    sandbox: Sandbox, workdir: Path
) -> None:
    command = "(trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM; sleep 5.272' & wait)"
    assert run(sandbox, workdir, command, SandboxLimits(wall_s=0.5)).stopped == "wall clock"
    assert processes_with("5.272") == []


def test_cpu_time_of_one_process(sandbox: Sandbox, workdir: Path) -> None:
    limits = SandboxLimits(wall_s=15.0, cpu_s=1.0)
    result = run(sandbox, workdir, "python -c 'while True: pass'", limits)
    assert result.stopped == "cpu time"
    assert result.seconds < 10.0


def test_cpu_time_is_counted_over_all_processes(sandbox: Sandbox, workdir: Path) -> None:
    # No single one reaches the limit, and all have ended by the time it is reached.
    limits = SandboxLimits(wall_s=15.0, cpu_s=1.0)
    once = "python -c 'import time; e=time.process_time()+.3\nwhile time.process_time()<e: pass'"
    result = run(sandbox, workdir, f"for i in 1 2 3 4 5 6 7 8; do {once}; done", limits)
    assert result.stopped == "cpu time"
    assert result.seconds < 10.0


def test_waiting_costs_no_cpu_time(sandbox: Sandbox, workdir: Path) -> None:
    assert run(sandbox, workdir, "sleep 0.7", SandboxLimits(wall_s=9.0, cpu_s=0.4)).ok


def test_memory_of_one_process(sandbox: Sandbox, workdir: Path) -> None:
    limits = SandboxLimits(wall_s=15.0, memory_bytes=200 * MIB)
    result = run(sandbox, workdir, "python -c 'print(len(bytearray(400 << 20)))'", limits)
    assert result.exit_code == 1
    assert "MemoryError" in result.output
    assert run(sandbox, workdir, "python -c 'print(len(bytearray(50 << 20)))'", limits).ok


def test_memory_of_all_processes_together(sandbox: Sandbox, workdir: Path) -> None:
    limits = SandboxLimits(wall_s=15.0, memory_bytes=300 * MIB)
    one = "python -c 'import time; data = bytearray(80 << 20); time.sleep(9)' & "
    result = run(sandbox, workdir, f"{one * 6} wait", limits)
    assert result.stopped == "memory"
    assert result.seconds < 8.0


def test_memory_shared_after_a_fork_counts_once(sandbox: Sandbox, workdir: Path) -> None:
    result = run_python(
        sandbox,
        workdir,
        "import os, time\n"
        "data = bytearray(100 << 20)\n"
        "children = [os.fork() for _ in range(3)]\n"
        "time.sleep(0.6)\n"
        "if all(children): print('done')\n",
        SandboxLimits(wall_s=15.0, memory_bytes=400 * MIB),
    )
    assert (result.stopped, result.output) == ("", "done\n")


# Bounded by itself, for the machine of whoever breaks the limit: 2**9 processes, 20 seconds.
FORK_BOMB = "import os, time\nfor _ in range(9): os.fork()\ntime.sleep(20.373)\n"
THREAD_BOMB = (
    "import threading, time\n"
    "for _ in range(300): threading.Thread(target=time.sleep, args=(5,)).start()\n"
)


def test_fork_bomb(sandbox: Sandbox, workdir: Path) -> None:
    result = run_python(sandbox, workdir, FORK_BOMB, SandboxLimits(wall_s=10.0, processes=40))
    # Whoever is not root is stopped by the kernel already, whose refusal the program survives.
    assert result.stopped == "processes" or "BlockingIOError" in result.output
    assert result.seconds < 9.0
    assert processes_with("program.py") == []


def test_threads_count_as_processes(sandbox: Sandbox, workdir: Path) -> None:
    limits = SandboxLimits(wall_s=10.0, processes=40)
    result = run_python(sandbox, workdir, THREAD_BOMB, limits)
    assert result.stopped == "processes" or "can't start new thread" in result.output


def test_as_many_processes_as_allowed(sandbox: Sandbox, workdir: Path) -> None:
    command = "for i in $(seq 15); do sleep 0.4 & done; wait; echo 끝"
    result = run(sandbox, workdir, command, SandboxLimits(wall_s=10.0, processes=20))
    assert result.output == "끝\n"


@pytest.mark.sandbox
def test_kernel_is_told_the_number_of_processes_too(strict: Sandbox, workdir: Path) -> None:
    result = run(strict, workdir, "cat /proc/self/limits", SandboxLimits(processes=77))
    assert re.search(r"Max processes +78 +78 ", result.output)


def test_file_size(sandbox: Sandbox, workdir: Path) -> None:
    limits = SandboxLimits(wall_s=15.0, file_bytes=3 * MIB)
    result = run(sandbox, workdir, "head -c 20000000 /dev/zero > big", limits)
    assert result.exit_code != 0
    assert (workdir / "big").stat().st_size == 3 * MIB


def test_no_core_files(sandbox: Sandbox, workdir: Path) -> None:
    assert run(sandbox, workdir, "ulimit -c; ulimit -Hc").output == "0\n0\n"


@pytest.mark.sandbox
@pytest.mark.parametrize("place", ["/tmp", "/dev/shm", "/home"])
def test_files_in_memory_are_bounded(strict: Sandbox, workdir: Path, place: str) -> None:
    limits = SandboxLimits(wall_s=15.0, memory_bytes=80 * MIB)
    fill = f"for i in 1 2 3 4 5 6 7 8; do head -c 5000000 /dev/zero > {place}/$i || exit 9; done"
    result = run(strict, workdir, fill, limits)
    assert result.exit_code == 9
    assert "No space left on device" in result.output


def test_limits_above_our_own_are_ours(sandbox: Sandbox, workdir: Path) -> None:
    assert run(sandbox, workdir, "true", SandboxLimits(file_bytes=2**62, cpu_s=1e9)).ok
