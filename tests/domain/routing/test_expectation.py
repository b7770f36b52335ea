"""Costs are compared by the same means everywhere."""

from helios.domain.routing.expectation import mean_usage
from helios.domain.usage import Usage


def test_bytes_are_taken_for_tokens_and_an_answer_for_a_part_of_its_limit() -> None:
    assert mean_usage(1_000, 4_096) == Usage(input_tokens=300, output_tokens=409)
    assert mean_usage(0, 0) == Usage()
