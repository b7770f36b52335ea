"""What a command gets and what comes back, in both sandboxes."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import pytest

from helios.errors import UsageError
from helios.ports.sandbox import Sandbox, SandboxCommand, SandboxLimits
from tests.sandboxes.host import LIMITS, run, run_python


@pytest.mark.parametrize("code", [0, 3, 255])
def test_exit_code_is_the_commands(sandbox: Sandbox, workdir: Path, code: int) -> None:
    result = run(sandbox, workdir, f"exit {code}")
    assert (result.exit_code, result.stopped, result.ok) == (code, "", code == 0)


@pytest.mark.parametrize("number", [6, 9])
def test_death_by_signal_is_128_more(sandbox: Sandbox, workdir: Path, number: int) -> None:
    assert run(sandbox, workdir, f"kill -{number} $$").exit_code == 128 + number


def test_korean_in_and_out(sandbox: Sandbox, workdir: Path) -> None:
    (workdir / "파일.txt").write_text("한글 내용", encoding="utf-8")
    result = run(sandbox, workdir, "cp 파일.txt 복사.txt && cat 복사.txt")
    assert result.output == "한글 내용"
    assert (workdir / "복사.txt").read_text(encoding="utf-8") == "한글 내용"


def test_output_and_errors_come_in_the_order_they_were_written(
    sandbox: Sandbox, workdir: Path
) -> None:
    command = "for i in 1 2 3; do echo out$i; echo err$i >&2; done"
    assert run(sandbox, workdir, command).output == "out1\nerr1\nout2\nerr2\nout3\nerr3\n"


def test_bytes_that_are_not_text_are_replaced(sandbox: Sandbox, workdir: Path) -> None:
    assert run(sandbox, workdir, r"printf 'a\377\376b'").output == "a��b"


def test_input_is_empty(sandbox: Sandbox, workdir: Path) -> None:
    assert run(sandbox, workdir, "cat; echo end").output == "end\n"


def test_python_is_ours(sandbox: Sandbox, workdir: Path) -> None:
    code = "import os, sys; print(sys.executable, sys.prefix, sys.version_info[:3])"
    expected = f"{sys.executable} {sys.prefix} {tuple(sys.version_info[:3])}\n"
    for name in ("python", "python3"):
        if (Path(sys.executable).parent / name).exists():
            output = run(sandbox, workdir, f'{name} -c "{code}"').output
            assert output.replace(f"/{name} ", f"/{Path(sys.executable).name} ") == expected


def test_unittest_runs(sandbox: Sandbox, workdir: Path) -> None:
    (workdir / "test_더하기.py").write_text(
        "import unittest\n"
        "class 더하기(unittest.TestCase):\n"
        "    def test_하나(self): self.assertEqual(1 + 1, 2)\n"
        "    def test_둘(self): self.assertEqual(1 + 1, 3)\n",
        encoding="utf-8",
    )
    result = run(sandbox, workdir, "python3 -m unittest test_더하기")
    assert result.exit_code == 1
    assert "Ran 2 tests" in result.output
    assert "AssertionError: 2 != 3" in result.output


def test_pools_threads_and_local_sockets_work(sandbox: Sandbox, workdir: Path) -> None:
    result = run_python(
        sandbox,
        workdir,
        "import multiprocessing, socket, subprocess, threading\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2]))\n"
        "    thread = threading.Thread(target=print, args=('thread',)); thread.start()\n"
        "    thread.join()\n"
        "    print(subprocess.check_output(['echo', 'child'], text=True), end='')\n"
        "    server = socket.create_server(('127.0.0.1', 0))\n"
        "    client = socket.create_connection(server.getsockname())\n"
        "    server.accept()[0].sendall(b'hello'); print(client.recv(5).decode())\n"
        "    print(socket.gethostbyname('localhost'))\n",
    )
    assert result.output == "[1, 2]\nthread\nchild\nhello\n127.0.0.1\n"


def test_start_costs_less_than_a_tenth_of_a_second(sandbox: Sandbox, workdir: Path) -> None:
    def bare() -> float:
        began = perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True, env={})
        return perf_counter() - began

    def sandboxed() -> float:
        began = perf_counter()
        assert run(sandbox, workdir, "python -c pass").ok
        return perf_counter() - began

    added = min(sandboxed() for _ in range(4)) - min(bare() for _ in range(4))
    assert added < 0.1


def test_environment_is_clean(
    sandbox: Sandbox, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "LD_PRELOAD_NOT", "PYTHONPATH_NOT", "HELIOS_TOKEN"):
        monkeypatch.setenv(name, "secret-of-the-service")
    output = run(sandbox, workdir, "env", env={"GREETING": "안녕 =\n하세요", "EMPTY": ""}).output
    assert "secret-of-the-service" not in output
    names = {line.partition("=")[0] for line in output.splitlines() if "=" in line}
    assert names - {"PWD", "TMPDIR", "OLDPWD", "SHLVL", "_"} == {
        *("PATH", "HOME", "LANG", "PYTHONDONTWRITEBYTECODE", "GREETING", "EMPTY"),
    }
    assert "GREETING=안녕 =\n하세요\n" in output
    assert "LANG=C.UTF-8\n" in output


def test_environment_of_the_command_has_the_last_word(sandbox: Sandbox, workdir: Path) -> None:
    output = run(sandbox, workdir, "echo $HOME $LANG", env={"HOME": "/x", "LANG": "C"}).output
    assert output == "/x C\n"


def test_home_can_be_written_and_does_not_last(sandbox: Sandbox, workdir: Path) -> None:
    assert run(sandbox, workdir, "echo x > $HOME/kept && cat $HOME/kept").output == "x\n"
    assert run(sandbox, workdir, "test -e $HOME/kept").exit_code == 1


def test_files_made_are_the_services_own(sandbox: Sandbox, workdir: Path) -> None:
    assert run(sandbox, workdir, "mkdir -p a/b && echo 1 > a/b/c").ok
    made = (workdir / "a" / "b" / "c").stat()
    assert (made.st_uid, made.st_gid) == (os.getuid(), os.getgid())


@pytest.mark.sandbox
def test_contained_output_does_not_name_the_host(strict: Sandbox, workdir: Path) -> None:
    assert run(strict, workdir, "pwd; hostname; whoami").output == "/sandbox\nsandbox\nsandbox\n"
    result = run(strict, workdir, "python -c 'raise SystemExit(__import__(\"os\").getcwd())'")
    assert result.output == "/sandbox\n"


def test_many_at_once_do_not_mix(sandbox: Sandbox, workdir: Path) -> None:
    async def all_of_them() -> list[str]:
        commands = (
            SandboxCommand(f"sleep 0.2; echo {number}", workdir, limits=LIMITS)
            for number in range(8)
        )
        results = await asyncio.gather(*(sandbox.run(command) for command in commands))
        return [result.output for result in results]

    assert asyncio.run(all_of_them()) == [f"{number}\n" for number in range(8)]


def test_no_descriptor_is_left_open(sandbox: Sandbox, workdir: Path) -> None:
    run(sandbox, workdir, "true")
    before = len(os.listdir("/proc/self/fd"))
    for command in ("true", "sleep 9 & exit 1", "yes | head -c 3000000"):
        run(sandbox, workdir, command)
    run(sandbox, workdir, "sleep 9", SandboxLimits(wall_s=0.1))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("command", "env", "message"),
    [
        ("true\0", {}, "NUL"),
        ("true", {"A": "x\0--bind\0/\0/host"}, "'A'"),
        ("true", {"A\0": "x"}, "NUL"),
        ("true", {"A=B": "x"}, "'A=B'"),
        ("true", {"": "x"}, "''"),
    ],
)
def test_what_cannot_be_handed_on_is_refused(
    sandbox: Sandbox, workdir: Path, command: str, env: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run(sandbox, workdir, command, env=env)


def test_missing_work_directory_is_refused(sandbox: Sandbox, workdir: Path) -> None:
    with pytest.raises(UsageError, match="없는 폴더"):
        run(sandbox, workdir / "없는 폴더", "true")


def test_a_command_too_long_for_the_system_says_so(sandbox: Sandbox, workdir: Path) -> None:
    result = run(sandbox, workdir, f"true {'x' * 200_000}")
    assert result.exit_code == 126
    assert "could not be started" in result.output
