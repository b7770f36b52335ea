"""Names without collisions, and removal of anything."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.codebase.folders import discard, safe_name, sweep
from helios.errors import WorkspaceError


@given(st.lists(st.text(min_size=1), unique=True, max_size=20))
def test_no_two_texts_share_a_name_and_every_name_is_safe(texts: list[str]) -> None:
    names = [safe_name(text) for text in texts]
    assert len(set(names)) == len(names)
    for name in names:
        assert name.isascii()
        assert 0 < len(name) <= 70
        assert not set(name) & set("/\0\n ~^:?*[\\")
        assert not name.startswith((".", "-"))
        assert not name.endswith((".", ".lock"))
        assert ".." not in name


@given(st.text(min_size=1))
def test_the_name_of_a_name_is_another_unless_it_is_the_text_itself(text: str) -> None:
    name = safe_name(text)
    assert name == text or safe_name(name) != name


def test_plain_ids_keep_their_names() -> None:
    for text in ("fix", "Fix-2", "a.b_c", "pages.3"):
        assert safe_name(text) == text


def test_letters_that_remain_are_shown() -> None:
    assert safe_name("fix the bug!").startswith("fix-the-bug.")
    assert safe_name("번역").startswith("task.")


def test_links_are_removed_and_what_they_lead_to_is_not(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o700)
    (kept / "file").write_text("1")
    folder = tmp_path / "folder"
    (folder / "closed").mkdir(parents=True)
    (folder / "closed" / "link").symlink_to(kept)
    (folder / "closed").chmod(0)
    (tmp_path / "link").symlink_to(kept)
    asyncio.run(discard(folder))
    asyncio.run(discard(tmp_path / "link"))
    asyncio.run(discard(tmp_path / "never-there"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]
    assert (kept / "file").read_text() == "1"


def test_what_cannot_be_removed_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="cannot remove") as caught:
        asyncio.run(discard(Path("/proc/self/cwd")))
    assert "by hand" in caught.value.next_step


def test_leftovers_are_swept(tmp_path: Path) -> None:
    (tmp_path / ".gone-1-x" / "inner").mkdir(parents=True)
    (tmp_path / ".gone-2-x").write_text("")
    (tmp_path / "x").mkdir()
    asyncio.run(sweep(tmp_path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]
