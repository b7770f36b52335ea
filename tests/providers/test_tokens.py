"""Token counts: never above the bytes, near the real ones, always the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.providers.simulator.tokens import count_text, pieces

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300)


@given(TEXTS)
def test_there_are_never_more_tokens_than_bytes(text: str) -> None:
    assert count_text(text) <= len(text.encode())


@given(TEXTS)
def test_the_pieces_are_the_text(text: str) -> None:
    found = list(pieces(text))
    assert "".join(found) == text
    assert len(found) == count_text(text)


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        ("The quick brown fox jumps over the lazy dog.", 9, 12),
        ("안녕하세요 반갑습니다", 9, 12),
        ("def add(a, b):\n    return a + b\n", 10, 16),
        ("1234567890", 3, 5),
        (" " * 80, 1, 20),
    ],
)
def test_counts_are_near_those_of_real_tokenizers(text: str, least: int, most: int) -> None:
    assert least <= count_text(text) <= most


def test_a_long_text_counts_like_the_sum_of_its_parts() -> None:
    part = "한글과 code, mixed 123\n"
    assert abs(count_text(part * 20_000) - 20_000 * count_text(part)) < 50
