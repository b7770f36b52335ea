"""What is installed for the tests: once, from its pins, or said why not."""

from pathlib import Path

import pytest

from tests.installed import CLAUDE_CODE, PYTHON_CLIENTS, NotInstalledError, Part


def part(folder: Path, command: str, *, installer: str = "sh") -> Part:
    pins = folder / "pins"
    pins.write_text("1", "utf-8")
    return Part(
        name="something",
        folder=folder / "there",
        pins=(pins,),
        program="program",
        steps=lambda _: (["sh", "-c", command],),
        installer=installer,
    )


def test_it_is_installed_once_and_again_when_its_pins_change(tmp_path: Path) -> None:
    once = part(tmp_path, "echo x >> program")
    assert once.path() == once.path()
    assert once.path().read_text() == "x\n"
    (tmp_path / "pins").write_text("2", "utf-8")
    assert once.path().read_text() == "x\nx\n"


def test_what_fails_is_tried_again_and_says_why(tmp_path: Path) -> None:
    broken = part(tmp_path, "echo 까닭 >&2; exit 1")
    for _ in range(2):
        with pytest.raises(NotInstalledError, match="something could not be installed: 까닭"):
            broken.path()


def test_a_missing_installer_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotInstalledError, match="needs no-such-npm"):
        part(tmp_path, "true", installer="no-such-npm").path()


@pytest.mark.parametrize("pin", [*CLAUDE_CODE.pins, *PYTHON_CLIENTS.pins], ids=lambda p: p.name)
def test_pins_name_no_registry(pin: Path) -> None:
    text = pin.read_text("utf-8")
    assert "://" not in text
    assert '"resolved"' not in text
