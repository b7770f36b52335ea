"""What the tests of the stores share: a look into the tables, and callers in other processes."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.proof.books import BooksCheck


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


@pytest.fixture
def caller() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `caller.py` as a process of its own; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("caller.py")), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
