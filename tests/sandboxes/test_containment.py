"""Nothing gets out of the contained sandbox; everything that is tried would be noticed."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helios.ports.sandbox import Sandbox
from helios.sandboxes.seccomp import SYSCALLS
from tests.sandboxes.escapes import CALLS, ESCAPES, Call, Control, Escape, calls_program
from tests.sandboxes.host import run, run_python
from tests.sandboxes.outside import Outside

escapes = pytest.mark.parametrize("escape", ESCAPES, ids=lambda escape: escape.name)
calls = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    with Outside(tmp_path) as prepared:
        yield prepared


def has_escaped(sandbox: Sandbox, escape: Escape, outside: Outside) -> bool:
    result = run_python(sandbox, outside.workdir, escape.program(outside))
    seen = escape.seen(outside)
    # A program with a mistake in it would look contained.
    assert result.exit_code == 0, result.output
    assert ("ESCAPED" in result.output) != ("contained: " in result.output), result.output
    return seen if escape.silent else seen or "ESCAPED" in result.output


def check_control(control: Control, succeeded: bool) -> None:
    if control == "root" and os.getuid() != 0:
        pytest.skip("only root can do this without containment")
    if control == "maybe" and not succeeded:
        pytest.skip("this machine does not allow it even without containment")
    assert succeeded


@pytest.mark.sandbox
@escapes
def test_contained(strict: Sandbox, outside: Outside, escape: Escape) -> None:
    assert not has_escaped(strict, escape, outside)


@escapes
def test_would_be_noticed(direct: Sandbox, outside: Outside, escape: Escape) -> None:
    if escape.control == "never":
        pytest.skip("too harmful to be tried without containment")
    check_control(escape.control, has_escaped(direct, escape, outside))


def errors_of_calls(sandbox: Sandbox, workdir: Path) -> dict[str, int]:
    program = calls_program(CALLS, SYSCALLS[platform.machine()])
    result = run_python(sandbox, workdir, program)
    assert result.exit_code == 0, result.output
    return {name: int(error) for name, error in map(str.split, result.output.splitlines())}


@pytest.fixture(scope="module")
def errors_inside(strict: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    return errors_of_calls(strict, tmp_path_factory.mktemp("inside"))


@pytest.fixture(scope="module")
def errors_outside(direct: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    return errors_of_calls(direct, tmp_path_factory.mktemp("outside"))


@pytest.mark.sandbox
@calls
def test_call_is_refused(errors_inside: dict[str, int], call: Call) -> None:
    assert errors_inside[call.name] == call.refusal


@calls
def test_call_would_reach_the_kernel(errors_outside: dict[str, int], call: Call) -> None:
    check_control(call.control, errors_outside[call.name] != call.refusal)


READ_INHERITED = (
    "import os\n"
    "for fd in range(3, 512):\n"
    "    try: print(fd, os.pread(fd, 100, 0).decode())\n"
    "    except OSError: pass\n"
)


def test_descriptors_are_not_inherited(sandbox: Sandbox, outside: Outside) -> None:
    fd = os.open(outside.secret, os.O_RDONLY)
    os.set_inheritable(fd, True)  # noqa: FBT003
    try:
        assert run_python(sandbox, outside.workdir, READ_INHERITED).output == ""
        control = subprocess.run(
            [sys.executable, outside.workdir / "program.py"],
            close_fds=False,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "비밀" in control.stdout
    finally:
        os.close(fd)


@pytest.mark.sandbox
def test_a_git_link_planted_by_one_command_shows_nothing_to_the_next(
    strict: Sandbox, outside: Outside
) -> None:
    (outside.workdir / ".git").unlink()
    assert run(strict, outside.workdir, f"ln -s '{outside.repository}' .git").ok
    assert run(strict, outside.workdir, "cat .git/config").exit_code != 0


@pytest.mark.sandbox
def test_a_whole_git_directory_can_be_read_and_not_written(strict: Sandbox, workdir: Path) -> None:
    hooks = workdir / ".git" / "hooks"
    hooks.mkdir(parents=True)
    (workdir / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    assert run(strict, workdir, "cat .git/HEAD").output == "ref: refs/heads/main\n"
    assert not run(strict, workdir, "echo evil > .git/hooks/post-checkout").ok
    assert not run(strict, workdir, "mv .git elsewhere").ok
    assert list(hooks.iterdir()) == []


@pytest.mark.sandbox
def test_only_what_is_needed_is_visible(strict: Sandbox, workdir: Path) -> None:
    top = set(run(strict, workdir, "ls -A /").output.split())
    prefixes = {Path(prefix).parts[1] for prefix in (sys.prefix, sys.base_prefix)}
    expected = {*("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc"), *prefixes}
    assert top <= expected | {"proc", "dev", "tmp", "home", "run", "sandbox"}
    assert run(strict, workdir, "ls -A /run").output == "reaper.py\n"
    users = run(strict, workdir, "cat /etc/passwd").output
    assert users == "sandbox:x:1000:1000:sandbox:/tmp:/bin/sh\n"


@pytest.mark.sandbox
def test_nothing_of_the_host_is_writable_but_the_work_directory(
    strict: Sandbox, workdir: Path
) -> None:
    mounts = run(strict, workdir, "cat /proc/self/mountinfo").output.splitlines()
    writable = {line.split()[4] for line in mounts if "rw" in line.split()[5].split(",")}
    devices = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")}
    assert writable - devices == {"/sandbox", "/tmp", "/home", "/dev/shm", "/dev/pts"}
    assert all("nosuid" in line.split()[5].split(",") for line in mounts)
