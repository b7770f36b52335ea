"""How our Python becomes visible without its surroundings."""

import sys
from pathlib import Path

import pytest

from helios.errors import SandboxUnavailable
from helios.sandboxes.interpreter import locate, our_interpreter, search_path


def make_installation(prefix: Path) -> Path:
    executable = prefix / "bin" / "python3"
    executable.parent.mkdir(parents=True)
    executable.touch()
    return executable


def make_environment(prefix: Path, target: Path) -> Path:
    executable = prefix / "bin" / "python"
    executable.parent.mkdir(parents=True)
    executable.symlink_to("python3")
    (prefix / "bin" / "python3").symlink_to(target)
    return executable


def test_environment_and_base_are_shown(tmp_path: Path) -> None:
    base = make_installation(tmp_path / "base")
    python = make_environment(tmp_path / "venv", base)
    found = locate(python, (tmp_path / "venv", tmp_path / "base"))
    assert found.executable == python
    assert set(found.roots) == {tmp_path / "venv", tmp_path / "base"}
    assert found.links == ()


def test_a_link_on_the_way_is_made_again(tmp_path: Path) -> None:
    base = make_installation(tmp_path / "base")
    alias = tmp_path / "alias" / "python3"
    alias.parent.mkdir()
    alias.symlink_to(base)
    python = make_environment(tmp_path / "venv", alias)
    found = locate(python, (tmp_path / "venv", tmp_path / "base"))
    assert found.links == ((alias, base),)


def test_an_installation_by_another_name_is_shown_by_both(tmp_path: Path) -> None:
    make_installation(tmp_path / "python-3.11.7")
    (tmp_path / "python-3.11").symlink_to("python-3.11.7")
    python = make_environment(tmp_path / "venv", tmp_path / "python-3.11" / "bin" / "python3")
    found = locate(python, (tmp_path / "venv", tmp_path / "python-3.11"))
    shown = {tmp_path / "venv", tmp_path / "python-3.11", tmp_path / "python-3.11.7"}
    assert set(found.roots) == shown
    assert found.links == ()


def test_the_systems_own_needs_nothing() -> None:
    assert locate(Path("/usr/bin/env"), (Path("/usr"),)).roots == ()


@pytest.mark.parametrize("prefix", ["집", "."])
def test_a_home_directory_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "집"))
    python = make_installation(tmp_path / prefix)
    with pytest.raises(SandboxUnavailable, match="집"):
        locate(python, (tmp_path / prefix,))


def test_ours_comes_first() -> None:
    assert search_path().split(":")[0] == str(Path(sys.executable).parent)
    assert our_interpreter().executable == Path(sys.executable)
