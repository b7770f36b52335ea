"""Sandboxes by name: never something weaker than was asked for."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from helios.errors import SandboxUnavailable, UsageError
from helios.ports.sandbox import Sandbox, SandboxCommand
from helios.sandboxes.open import open_sandbox, probe_sandbox


def fake_bubblewrap(directory: Path, script: str) -> None:
    program = directory / "bwrap"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.sandbox
@pytest.mark.parametrize("name", ["strict", "auto"])
def test_contained_by_default(strict: Sandbox, name: str) -> None:
    opened = open_sandbox(name)
    assert (opened.name, opened.contains) == ("bubblewrap", True)
    assert probe_sandbox()[0]


@pytest.mark.sandbox
def test_can_be_opened_inside_a_running_loop(strict: Sandbox) -> None:
    async def inside() -> Sandbox:
        return open_sandbox("strict")

    assert asyncio.run(inside()).contains


def test_direct_says_that_it_does_not_contain() -> None:
    opened = open_sandbox("direct")
    assert (opened.name, opened.contains) == ("direct", False)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="없는것") as refused:
        open_sandbox("없는것")
    assert "strict" in refused.value.next_step
    assert "direct" in refused.value.next_step


@pytest.mark.parametrize("name", ["strict", "auto"])
def test_missing_bubblewrap_is_named_with_its_cure(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailable, match="bubblewrap is not installed") as refused:
        open_sandbox(name)
    assert "apt-get install bubblewrap" in refused.value.next_step
    assert "--sandbox direct" in refused.value.next_step
    works, sentence = probe_sandbox()
    assert not works
    assert "apt-get install bubblewrap" in sentence


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("echo 'bwrap: No permissions to create a new namespace' >&2; exit 1", "No permissions"),
        ("exit 0", "could not build"),
        ("echo 42", "could not build"),
    ],
)
def test_bubblewrap_that_does_not_work_is_not_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, cause: str
) -> None:
    fake_bubblewrap(tmp_path, script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(SandboxUnavailable, match=cause) as refused:
        open_sandbox("strict")
    assert "--sandbox direct" in refused.value.next_step


@pytest.mark.sandbox
def test_a_sandbox_that_cannot_be_built_later_is_an_error_not_a_result(
    strict: Sandbox, workdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which("bwrap")
    fake_bubblewrap(tmp_path, f'exec {real} --ro-bind /없는/경로 /x "$@"')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(SandboxUnavailable, match="없는/경로"):
        open_sandbox("strict")


def test_others_add_sandboxes_by_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workdir: Path
) -> None:
    (tmp_path / "someones_sandbox.py").write_text(
        "from helios.sandboxes.direct import DirectSandbox\n"
        "class Theirs(DirectSandbox):\n"
        "    name = 'theirs'\n"
    )
    metadata = tmp_path / "someones_sandbox-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: someones-sandbox\n")
    (metadata / "entry_points.txt").write_text(
        "[helios.sandboxes]\ntheirs = someones_sandbox:Theirs\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    opened = open_sandbox("theirs")
    assert opened.name == "theirs"
    result = asyncio.run(opened.run(SandboxCommand("echo 안녕", workdir)))
    assert result.output == "안녕\n"
