"""Files that cannot be read as text are refused, each with its reason."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helios.errors import Problem, ProjectFileError
from helios.services.projects import load_project
from helios.services.projects.source import MOST_BYTES, read_source

NOBODY = 65534


def refusal(path: Path) -> Problem:
    with pytest.raises(ProjectFileError) as caught:
        load_project(path, known_agents=(), now=0.0)
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    return problem


def write(folder: Path, data: bytes) -> Path:
    path = folder / "helios.yaml"
    path.write_bytes(data)
    return path


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may read everything: be somebody else for a moment."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_missing_file(tmp_path: Path) -> None:
    problem = refusal(tmp_path / "none.yaml")
    assert problem.message == "there is no such file"
    assert "helios init" in problem.hint


def test_a_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path).message == "this is a folder, not a file"


def test_a_file_used_as_a_folder(tmp_path: Path) -> None:
    problem = refusal(write(tmp_path, b"x") / "more.yaml")
    assert problem.message.startswith("the file cannot be read: ")


def test_a_name_no_file_can_have() -> None:
    assert refusal(Path("a\0b")).message.startswith("this is no file name: ")


def test_no_permission(tmp_path: Path) -> None:
    path = write(tmp_path, b"helios: 1\n")
    path.chmod(0)
    with ordinary_user():
        problem = refusal(path)
    assert problem.message == "no permission to read the file"


@pytest.mark.parametrize("data", [b"", b"  \n\t\r\n"])
def test_an_empty_file(tmp_path: Path, data: bytes) -> None:
    assert refusal(write(tmp_path, data)).message == "the file is empty"


def test_a_file_too_large_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "helios.yaml"
    with path.open("wb") as file:
        file.truncate(50_000_000_000)  # sparse: it takes no room on disk, but would in memory
    assert refusal(path).message == "the file is larger than 10 MB"


def test_the_largest_file_is_read(tmp_path: Path) -> None:
    assert len(read_source(write(tmp_path, b"#" * MOST_BYTES))) == MOST_BYTES
    assert refusal(write(tmp_path, b"#" * (MOST_BYTES + 1))).message.endswith("than 10 MB")


def test_what_has_no_size_is_not_read_without_end() -> None:
    assert refusal(Path("/dev/zero")).message.endswith("than 10 MB")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16(tmp_path: Path, encoding: str) -> None:
    problem = refusal(write(tmp_path, "helios: 1\n".encode(encoding)))
    assert problem.message == "the file is in UTF-16; a project file is in UTF-8"


def test_a_byte_order_mark(tmp_path: Path) -> None:
    problem = refusal(write(tmp_path, "helios: 1\n".encode("utf-8-sig")))
    assert problem.message == "the file begins with a byte order mark"
    assert problem.hint == "Save it as UTF-8 without a byte order mark."


def test_not_utf_8_names_offset_line_and_column(tmp_path: Path) -> None:
    data = "helios: 1\nname: 가".encode() + b"\xff more\nnext"
    problem = refusal(write(tmp_path, data))
    assert problem.message == "not UTF-8: byte 0xff at offset 19"
    assert (problem.line, problem.column) == (2, 8)
    assert problem.source_line == "name: 가\ufffd more"
    assert "CP949" not in problem.hint


def test_korean_in_cp949_is_recognised(tmp_path: Path) -> None:
    problem = refusal(write(tmp_path, "helios: 1\nname: 가나\n".encode("cp949")))
    assert "CP949" in problem.hint
    assert (problem.line, problem.column) == (2, 7)


def test_the_file_is_named_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "프로젝트.yaml").write_text("a: [1", encoding="utf-8")
    assert refusal(Path("sub/프로젝트.yaml")).place == "sub/프로젝트.yaml:1:4"
