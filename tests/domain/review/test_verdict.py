"""A verdict is what was found, and nobody turns it round on its way."""

from dataclasses import FrozenInstanceError

import pytest

from helios.domain.review.verdict import Finding, GateResult, Review

REVIEW = Review(approve=False, summary="틀린 곳이 있다", findings=(Finding("a.py", "error", "no"),))
GATE = GateResult("pytest", passed=False, seconds=1.5)


@pytest.mark.parametrize(("verdict", "name"), [(REVIEW, "approve"), (GATE, "passed")])
def test_a_verdict_cannot_be_turned_round(verdict: Review | GateResult, name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(verdict, name, True)


def test_findings_of_the_same_place_and_words_are_one() -> None:
    assert len({*REVIEW.findings, Finding("a.py", "error", "no", line=0)}) == 1
    assert len({*REVIEW.findings, Finding("a.py", "error", "no", line=7)}) == 2
