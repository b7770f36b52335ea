"""A patch fits letter by letter or is refused as a whole, and stays inside the repository."""

from posixpath import normpath

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from helios.domain.review.edits import Edit, Patch, apply_patch
from helios.errors import PatchRejected

LETTERS = st.text(alphabet="ab\n", max_size=12)
TEXTS = st.text(max_size=40) | st.lists(
    st.sampled_from(["def 값():\r\n", "    return 1\n", "\t주석 없음", "\r\n", "🙂", "\ufeff"])
).map("".join)
FILES = {"src/app.py": "x = 1\ny = 2\n", "README.md": "# 제목\r\n끝", "empty.py": ""}


def applied(
    *edits: Edit, files: dict[str, str] | None = None, editable: tuple[str, ...] = ()
) -> dict[str, str]:
    return apply_patch(files or FILES, Patch("s", edits), editable=editable)


def refusal(
    *edits: Edit, files: dict[str, str] | None = None, editable: tuple[str, ...] = ()
) -> str:
    before = dict(files or FILES)
    with pytest.raises(PatchRejected) as refused:
        applied(*edits, files=files, editable=editable)
    assert (files or FILES) == before
    return refused.value.message


def places(text: str, sought: str) -> int:
    return sum(text.startswith(sought, at) for at in range(len(text)))


@given(TEXTS, TEXTS.filter(bool), TEXTS, TEXTS)
def test_only_the_named_place_changes_and_every_letter_around_it_stays(
    head: str, find: str, tail: str, replacement: str
) -> None:
    before = head + find + tail
    assume(places(before, find) == 1 and find != replacement)
    after = head + replacement + tail
    assert applied(Edit("a", find, replacement), files={"a": before}) == {"a": after}
    if replacement and places(after, replacement) == 1:
        back = applied(Edit("a", replacement, find), files={"a": after})
        assert back == {"a": before}


@given(LETTERS, LETTERS.filter(bool), st.text(max_size=3))
@example("aaa", "aa", "b")
@example("ababa", "aba", "")
def test_a_place_must_be_the_only_one_even_where_places_overlap(
    text: str, find: str, replacement: str
) -> None:
    assume(find != replacement)
    edit, count = Edit("a", find, replacement), places(text, find)
    if count == 1:
        assert applied(edit, files={"a": text})["a"] == text.replace(find, replacement)
    else:
        said = "does not occur" if count == 0 else f"occurs {count} times"
        assert said in refusal(edit, files={"a": text})


@pytest.mark.parametrize(
    ("text", "find"),
    [
        ("a\r\nb", "a\nb"),
        ("a\nb", "a\r\nb"),
        ("\uac00", "\u1100\u1161"),
        ("끝", "끝\n"),
        ("\tx", "    x"),
        ("x ", "x  "),
    ],
)
def test_what_only_looks_alike_does_not_fit(text: str, find: str) -> None:
    assert "does not occur" in refusal(Edit("a", find, "z"), files={"a": text})


@given(st.lists(st.tuples(LETTERS, LETTERS), min_size=1, max_size=4), LETTERS)
def test_edits_apply_in_order_each_to_what_the_ones_before_it_left(
    pairs: list[tuple[str, str]], text: str
) -> None:
    edits = [Edit("a", find, replacement) for find, replacement in pairs]
    expected: str | None = text
    for find, replacement in pairs:
        if expected is None or (places(expected, find) != 1 if find else expected):
            expected = None
        else:
            expected = expected.replace(find, replacement) if find else replacement
    if expected is None or expected == text:
        refusal(*edits, files={"a": text})
    else:
        assert applied(*edits, files={"a": text}) == {"a": expected}


def test_edits_of_places_that_overlap_are_refused() -> None:
    first, second = Edit("src/app.py", "1\ny", "3\nz"), Edit("src/app.py", "y = 2", "y = 4")
    assert refusal(first, second).startswith("edit 2 (src/app.py): the text to find does not occur")
    second_first = Edit("src/app.py", "y = 2", "z = 2")
    assert "does not occur" in refusal(second_first, first)


def test_one_edit_that_does_not_fit_refuses_them_all_and_is_named() -> None:
    fits = Edit("src/app.py", "x = 1", "x = 3")
    wrong = Edit("README.md", "없는 글", "z")
    for edits in ((fits, wrong), (fits, fits), (fits, Edit("gone.py", "x", "z"))):
        assert refusal(*edits).startswith(f"edit 2 ({edits[1].path}): ")


def test_only_files_that_change_are_told() -> None:
    found = applied(Edit("README.md", "끝", "끝\n"), Edit("새/파일.py", "", "값 = 1"))
    assert found == {"README.md": "# 제목\r\n끝\n", "새/파일.py": "값 = 1"}


def test_a_file_is_written_where_there_is_none_or_nothing_and_not_over_a_text() -> None:
    assert applied(Edit("new.py", "", "")) == {"new.py": ""}
    assert applied(Edit("empty.py", "", "x")) == {"empty.py": "x"}
    assert "the file exists" in refusal(Edit("src/app.py", "", "x"))
    assert "the file exists" in refusal(Edit("new.py", "", "x"), Edit("new.py", "", "y"))
    assert applied(Edit("new.py", "", "x"), Edit("new.py", "x", "y")) == {"new.py": "y"}
    assert "no such file" in refusal(Edit("gone.py", "x", "y"))


def test_a_patch_that_changes_nothing_is_refused() -> None:
    same, there = Edit("src/app.py", "x = 1", "x = 1"), Edit("src/app.py", "x = 1", "x = 3")
    back = Edit("src/app.py", "x = 3", "x = 1")
    assert "no edits" in refusal()
    assert "changes nothing" in refusal(same)
    assert "changes nothing" in refusal(there, back)
    assert "changes nothing" in refusal(Edit("empty.py", "", ""))
    assert applied(there, Edit("README.md", "끝", "끝"))["src/app.py"] == "x = 3\ny = 2\n"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../outside.py",
        "src/../../outside.py",
        "src/..",
        "./src/app.py",
        "src//app.py",
        "src/",
        ".git/config",
        ".GIT/hooks/pre-commit",
        "module/.Git/config",
        "..\\outside.py",
        "C:\\x",
        "src/app.py\0.txt",
    ],
)
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    files = {path: "x = 1", **FILES}
    for edit in (Edit(path, "", "x"), Edit(path, "x = 1", "x = 2")):
        assert "stay inside" in refusal(edit, files=files)
        assert "stay inside" in refusal(edit, files=files, editable=("*", path))


PARTS = st.sampled_from(["..", ".", "", ".git", ".GIT", "src", "값", "a\\b", ".gitignore"])


@given(st.lists(PARTS).map("/".join) | st.text())
def test_a_path_that_is_accepted_is_inside_and_has_no_second_name(path: str) -> None:
    try:
        changed = applied(Edit(path, "", "x"), files={"other": "y"})
    except PatchRejected:
        return
    assert changed == {path: "x"}
    assert normpath(f"/repository/{path}") == f"/repository/{path}"
    assert ".git" not in path.lower().split("/")


@given(st.lists(st.sampled_from(["src", "값", ".github", "a.py"]), min_size=1).map("/".join))
def test_ordinary_paths_are_accepted(path: str) -> None:
    assert applied(Edit(path, "", "x"), files={"other": "y"}) == {path: "x"}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("src/new.py", True),
        ("src/deep/new.py", True),
        ("tests/test_new.py", False),
        ("SRC/new.py", False),
        ("src/new.pyc", False),
        ("문서/안내.md", True),
    ],
)
def test_only_what_is_editable_may_be_changed(path: str, allowed: bool) -> None:
    editable = ("src/*.py", "문서/*")
    if allowed:
        assert applied(Edit(path, "", "x"), editable=editable) == {path: "x"}
    else:
        said = refusal(Edit(path, "", "x"), editable=editable)
        assert said == f"edit 1 ({path}): only src/*.py, 문서/* may be changed"
