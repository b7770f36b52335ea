"""What an attempt is expected to take: a mean to compare costs with, which no bound may use."""

from helios.domain.usage import Usage

TOKENS_PER_BYTE = 0.3
"""For prose and code."""
MEAN_OUTPUT_SHARE = 0.1
"""An answer takes about this share of its limit."""


def mean_usage(read_bytes: int, output_limit: int) -> Usage:
    """The tokens that so many bytes and an answer with this limit of tokens take on average."""
    return Usage(
        input_tokens=int(read_bytes * TOKENS_PER_BYTE),
        output_tokens=int(output_limit * MEAN_OUTPUT_SHARE),
    )
