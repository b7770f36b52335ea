"""No process is left, however it ends."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import helios
from helios.ports.sandbox import Sandbox, SandboxCommand
from tests.sandboxes.host import LIMITS, processes_with, run, wait_for

# A child in the background, one that has left the session, one in front.
FAMILY = "sleep {token} & (setsid sleep {token} &); touch started; sleep {token}"

SERVICE = """
import asyncio, sys
from pathlib import Path
from helios.sandboxes.open import open_sandbox
from helios.ports.sandbox import SandboxCommand
sandbox = open_sandbox(sys.argv[1])
print("open", flush=True)
asyncio.run(sandbox.run(SandboxCommand(sys.argv[2], Path(sys.argv[3]))))
"""


def test_what_was_left_in_the_background_is_gone(sandbox: Sandbox, workdir: Path) -> None:
    result = run(sandbox, workdir, "sleep 7.471 & (setsid sleep 7.471 &) ; echo 끝")
    assert result.output == "끝\n"
    assert result.seconds < 5.0
    assert processes_with("7.471") == []


def test_orphans_are_buried(sandbox: Sandbox, workdir: Path) -> None:
    command = (
        "for i in 1 2 3; do (sh -c 'echo $$ >> pids' &) ; done; sleep 0.3; wc -l < pids; "
        "for pid in $(cat pids); do test -e /proc/$pid && echo still there; done; true"
    )
    assert run(sandbox, workdir, command).output == "3\n"


@pytest.mark.parametrize("times", [1, 3])
def test_cancellation_takes_the_tree_along(sandbox: Sandbox, workdir: Path, times: int) -> None:
    async def cancel() -> None:
        command = SandboxCommand(FAMILY.format(token="7.572"), workdir, limits=LIMITS)
        task = asyncio.create_task(sandbox.run(command))
        assert await asyncio.to_thread(wait_for, (workdir / "started").exists)
        assert processes_with("7.572") != []
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert processes_with("7.572") == []

    asyncio.run(cancel())


@pytest.mark.parametrize("after_ms", [0, 2, 8, 16])
def test_cancellation_while_it_starts(sandbox: Sandbox, workdir: Path, after_ms: int) -> None:
    async def cancel() -> None:
        command = SandboxCommand("sleep 7.673", workdir, limits=LIMITS)
        task = asyncio.create_task(sandbox.run(command))
        await asyncio.sleep(after_ms / 1000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert processes_with("7.673") == []

    asyncio.run(cancel())


def start_service(name: str, command: str, workdir: Path) -> subprocess.Popen[bytes]:
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE, name, command, str(workdir)],
        env={
            "PYTHONPATH": os.pathsep.join((str(Path(helios.__file__).parents[1]), *sys.path)),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
        },
        stdout=subprocess.PIPE,
    )
    assert service.stdout is not None
    assert service.stdout.readline() == b"open\n"
    service.stdout.close()
    return service


def end(service: subprocess.Popen[bytes], number: signal.Signals) -> None:
    service.send_signal(number)
    service.wait()


@pytest.mark.parametrize("name", [pytest.param("strict", marks=pytest.mark.sandbox), "direct"])
def test_killing_the_service_takes_the_tree_along(
    name: str, workdir: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(name)
    service = start_service(name, FAMILY.format(token="7.774"), workdir)
    try:
        assert wait_for((workdir / "started").exists)
        assert len(processes_with("7.774")) >= 3
    finally:
        end(service, signal.SIGKILL)
    assert wait_for(lambda: processes_with("7.774") == [])


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param("strict", marks=pytest.mark.sandbox), "direct"])
def test_killing_the_service_while_it_starts_leaves_nothing_half_built(
    name: str, workdir: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(name)
    before = set(processes_with("reaper.py"))
    for after_ms in range(0, 30, 4):
        service = start_service(name, "sleep 7.875", workdir)
        wait_for(lambda: False, seconds=after_ms / 1000)
        end(service, signal.SIGKILL)
    assert wait_for(lambda: processes_with("7.875") == [])
    assert wait_for(lambda: set(processes_with("reaper.py")) <= before)


@pytest.mark.sandbox
def test_a_command_cannot_hold_on_to_the_lifeline(strict: Sandbox, workdir: Path) -> None:
    """If it could, it would outlive a service that was killed."""
    script = (
        "import os\n"
        "for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):\n"
        "    try: os.open('/proc/1/fd/0', flags); print('HELD')\n"
        "    except OSError as error: print(error.strerror)\n"
    )
    (workdir / "hold.py").write_text(script)
    assert "HELD" not in run(strict, workdir, "python hold.py").output
