"""A hundred times kill -9 at random moments; `make soak` does it a thousand times."""

from pathlib import Path

import pytest

from tests.proof.forks import Forks
from tests.proof.kills import kill_many


@pytest.mark.slow
def test_the_books_balance_after_a_hundred_random_kills(forks: Forks, tmp_path: Path) -> None:
    counts = kill_many(forks, tmp_path, 100)
    assert counts["kills"] == 100
    assert counts["calls cut off"] > 50, "hardly anybody was killed in the middle of a call"
    assert counts["tokens billed"] <= counts["tokens charged"]
