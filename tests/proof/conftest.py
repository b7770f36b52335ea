"""Processes and looks into the tables, put away at the end of each test."""

from collections.abc import Callable, Iterator

import pytest

from tests.proof.books import BooksCheck
from tests.proof.forks import Forks


@pytest.fixture
def forks() -> Iterator[Forks]:
    made = Forks()
    yield made
    made.close()


@pytest.fixture
def books_check() -> Iterator[Callable[[str], BooksCheck]]:
    """Makes a check of the database at an address."""
    made: list[BooksCheck] = []

    def make(url: str) -> BooksCheck:
        made.append(BooksCheck(url))
        return made[-1]

    yield make
    for check in made:
        check.close()
