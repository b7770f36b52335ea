"""How a problem looks on a terminal: the line cut to the width, the caret under the place."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helios.errors import Problem
from helios.services.projects import problem_to_json, render
from helios.services.projects.problems import cells


def problem(
    source: str, column: int, width: int = 1, *, message: str = "wrong", hint: str = ""
) -> Problem:
    return Problem("f.yaml", 3, column, message, hint, source, width)


def caret(source: str, column: int, width: int = 1, terminal: int = 80) -> tuple[str, str]:
    _, line, carets = render((problem(source, column, width),), terminal).split("\n")
    return line, carets


def marked(line: str, carets: str) -> str:
    """The part of the line the carets stand under, found by counting cells."""
    start, end = len(carets) - len(carets.lstrip()), len(carets)
    at = 0
    found = ""
    for char in line:
        if start <= at < end:
            found += char
        at += cells(char)
    return found


def test_the_parts_and_their_order() -> None:
    shown = render((problem("key: x", 6, hint="Try y."), Problem("f.yaml", 0, 0, "none")))
    assert shown == ("f.yaml:3:6: wrong\n    key: x\n         ^\n  Try y.\n\nf.yaml: none")


def test_wide_characters_take_two_cells() -> None:
    line, carets = caret("이름: [가나다, 틀림]", 11, 2)
    assert carets == " " * (4 + 15) + "^^^^"
    assert marked(line, carets) == "틀림"


def test_syllables_taken_apart_take_two_cells() -> None:
    apart = unicodedata.normalize("NFD", "한글")
    assert cells(apart) == cells("한글") == 4


def test_combining_marks_take_none() -> None:
    assert cells("e\u0301") == 1


@pytest.mark.parametrize("terminal", [40, 80, 120])
@pytest.mark.parametrize("column", [1, 30, 200, 396])
@pytest.mark.parametrize("filler", ["x", "가"])
def test_a_long_line_is_cut_around_the_place(terminal: int, column: int, filler: str) -> None:
    source = filler * (column - 1) + "WRONG" + filler * (400 - column - 4)
    line, carets = caret(source, column, 5, terminal)
    assert cells(line) <= terminal
    assert cells(carets) <= terminal
    assert marked(line, carets) == "WRONG"
    assert line.endswith("...") == (column < 380)
    if column in {1, 200, 396}:
        assert line.startswith("    ...") == (column > 1)


def test_a_mark_wider_than_the_terminal_is_cut() -> None:
    line, carets = caret("x" * 500, 1, 500)
    assert cells(line) <= 80
    assert carets == "    " + "^" * 38


def test_a_place_after_the_end_of_the_line_is_shown() -> None:
    assert caret("key:", 5) == ("    key:", "        ^")


def test_tabs_are_widened_and_keep_the_caret_right() -> None:
    assert caret("\tkey: x", 1) == ("        key: x", "    ^^^^")
    line, carets = caret("a\tb", 3)
    assert marked(line, carets) == "b"


def test_nothing_reaches_the_terminal_that_could_act_on_it() -> None:
    nasty = "a\x1b[31m\u202e\x07b\u2028"
    shown = render((problem(nasty, 2, message=nasty, hint=nasty),))
    assert all(unicodedata.category(char)[0] != "C" or char == "\n" for char in shown)
    assert "\u2028" not in shown


def test_a_long_hint_is_wrapped_at_words() -> None:
    shown = render((problem("x", 1, hint="하나 둘 셋 넷 " * 20),), 40).split("\n")[3:]
    assert len(shown) > 3
    assert all(cells(line) <= 40 and line.startswith("  ") for line in shown)


def test_json_has_every_part_and_never_a_huge_line() -> None:
    data = problem_to_json(problem("y" * 5000, 2, 3, hint="h"))
    assert data == {
        "file": "f.yaml",
        "line": 3,
        "column": 2,
        "width": 3,
        "message": "wrong",
        "hint": "h",
        "source_line": "y" * 1000,
    }


@given(
    source=st.text(max_size=300),
    column=st.integers(1, 320),
    width=st.integers(1, 300),
    terminal=st.integers(30, 120),
)
@settings(deadline=None)
def test_every_line_fits_and_carets_stay_under_it(
    source: str, column: int, width: int, terminal: int
) -> None:
    lines = render((problem(source, column, width),), terminal).split("\n")
    assert len(lines) == (3 if source else 1)
    assert all(cells(line) <= terminal for line in lines)
    if source:
        assert set(lines[2]) <= {" ", "^"}
        assert "^" in lines[2]
