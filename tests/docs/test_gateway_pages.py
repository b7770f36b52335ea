"""Every command and program on the gateway's pages is run, as a reader would type it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.test_docs import BLOCK, TEXTS
from tests.e2e.helios_process import ROOT, Helios
from tests.installed import CLAUDE_CODE, NotInstalledError

pytestmark = pytest.mark.slow

PAGES = ("claude-code.md", "sdk.md", "subscriptions.md")


@contextmanager
def serving(helios: Helios) -> Iterator[str]:
    """`helios serve` on a free port; the URL."""
    process = helios.start("serve", "--port", "0")
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate(timeout=30)


def shell(helios: Helios, home: Path, script: str) -> str:
    """A reader's terminal, in which `helios`, `claude` and `python` are found."""
    places = home / "bin"
    places.mkdir(exist_ok=True)
    (places / "helios").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m helios "$@"\n', "utf-8")
    (places / "helios").chmod(0o755)
    if not (places / "claude").exists():
        (places / "claude").symlink_to(CLAUDE_CODE.path())
    environment = {
        **helios.environment,
        "HOME": str(home),
        "PATH": f"{places}:{helios.environment['PATH']}",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=environment, cwd=home, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("name", PAGES)
def test_every_command_on_the_page_works(tmp_path: Path, name: str) -> None:
    text = TEXTS[ROOT / "docs" / name]
    if "claude -p" in text:
        try:
            CLAUDE_CODE.path()
        except NotInstalledError as error:
            pytest.skip(str(error))
    scripts = [body for kind, body in BLOCK.findall(text) if kind == "bash"]
    scripts = [body for body in scripts if body.strip() != "helios serve"]
    helios = Helios(tmp_path / "집", sandbox="direct")
    with serving(helios) as url:
        # One terminal: what a block exports holds for the next one.
        typed = "\n".join(scripts).replace("http://127.0.0.1:8002", url)
        output = shell(helios, tmp_path, typed)
    if name == "claude-code.md":
        assert output.count('"is_error":false') == 2
        assert '"messages": 1' in output
        assert "keys/claude-code" in output
    elif name == "sdk.md":
        assert "simulated: " in output


def test_the_python_on_the_page_works(tmp_path: Path) -> None:
    text = TEXTS[ROOT / "docs" / "sdk.md"]
    (program,) = [body for kind, body in BLOCK.findall(text) if kind == "python"]
    helios = Helios(tmp_path / "집")
    with serving(helios) as url:
        program = program.replace("http://127.0.0.1:8002", url)
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=helios.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("simulated: ")
    rows = helios.rows("SELECT account, task FROM spends ORDER BY seq")
    assert rows == [("shop", "greeting"), ("", "")]
