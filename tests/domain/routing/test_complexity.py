"""How hard a task looks: within bounds, and never less for more of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.domain.routing.complexity import TYPE_BASE, Band, Complexity, band_of, complexity

TYPES = st.sampled_from([*TYPE_BASE, "something new"])
SIZES = st.integers(0, 10**7)
NEEDS = st.integers(0, 40)
WORDS = st.lists(
    st.sampled_from(["deadlock", "typo", "security를", "오타", "설계", "x"]), max_size=9
)
TEXTS = st.text() | WORDS.map(" ".join)
SCORES = st.floats(1, 10)
BANDS = list(Band)


def judged(text: str = "", task_type: str = "coding", size: int = 0, needs: int = 0) -> Complexity:
    return complexity(task_type=task_type, text=text, size_bytes=size, needs=needs)


@given(TEXTS, TYPES, SIZES, NEEDS)
def test_a_score_is_within_bounds_and_the_sum_of_its_parts(
    text: str, task_type: str, size: int, needs: int
) -> None:
    found = judged(text, task_type, size, needs)
    assert 1 <= found.score <= 10
    assert found.score == pytest.approx(min(10, max(1, sum(points for _, points in found.parts))))
    assert found.band is band_of(found.score)
    assert len(dict(found.parts)) == len(found.parts)


@given(TEXTS, TYPES, SIZES, NEEDS, SIZES, NEEDS)
def test_more_code_and_more_needs_never_look_easier(
    text: str, task_type: str, size: int, needs: int, more: int, further: int
) -> None:
    found = judged(text, task_type, size, needs).score
    assert judged(text, task_type, size + more, needs + further).score >= found


@given(TEXTS, TYPES)
def test_hard_words_never_make_a_task_easier_nor_easy_words_harder(
    text: str, task_type: str
) -> None:
    parts = dict(judged(text, task_type).parts)
    assert judged(f"{text} deadlock", task_type).score >= judged(f"{text} .", task_type).score
    assert judged(f"{text} typo", task_type).score <= judged(f"{text} deadlock", task_type).score
    assert 0 <= parts["hard words"] <= 2
    assert -2 <= parts["easy words"] <= 0


@given(st.text(), st.text())
def test_a_longer_text_counts_more_up_to_a_point(text: str, more: str) -> None:
    def length(of: str) -> float:
        return dict(judged(of).parts)["length of the text"]

    assert length(text) <= length(text + more) <= 1
    assert length("x" * 4000) == length("x" * 9000) == 1


@pytest.mark.parametrize(
    ("text", "hard", "easy"),
    [
        ("Deadlock and DEADLOCK", 0.7, 0),
        ("a race, a lock and a migration", 1.4, 0),
        ("fix the security를 and 보안", 1.4, 0),
        ("trace the formatter's brace", 0, -0.7),
        ("오타 in a comment", 0, -1.4),
        ("deadlock race security protocol invariant", 2, 0),
        ("", 0, 0),
    ],
)
def test_a_word_counts_once_in_either_language(text: str, hard: float, easy: float) -> None:
    parts = dict(judged(text).parts)
    assert parts["hard words"] == pytest.approx(hard)
    assert parts["easy words"] == pytest.approx(easy)


@given(SCORES, SCORES)
def test_bands_rise_with_the_score(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert BANDS.index(band_of(low)) <= BANDS.index(band_of(high))


@pytest.mark.parametrize("number", range(1, 11))
def test_each_band_is_two_scores(number: int) -> None:
    assert band_of(number) is BANDS[(number - 1) // 2]


def test_kinds_of_work_start_where_the_table_says_and_unknown_ones_in_the_middle() -> None:
    assert judged(task_type="something new").score == judged(task_type="coding").score
    for task_type, base in TYPE_BASE.items():
        assert judged(task_type=task_type).score == base
