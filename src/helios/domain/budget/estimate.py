"""Upper bounds of a call before it is made: a bound, not a mean."""

import math

from helios.domain.budget.units import Amounts, Unit
from helios.domain.pricing import Model
from helios.domain.usage import Usage

OVERHEAD_TOKENS = 600
"""Roles, tool schemas' framing and the provider's own tool prompt (346 tokens in the provider's
documentation for a forced tool choice), rounded up."""


def input_bound(text_bytes: int) -> int:
    """The most input tokens a request with this many bytes of text can have.

    Byte-level tokenizers never make more than one token of a byte, in any language.
    """
    return text_bytes + OVERHEAD_TOKENS


def counted_bound(counted: int) -> int:
    """The most input tokens a request has that the provider counted: a fiftieth and 50 more.

    The count is of the same request, tools and their framing included; but the provider calls it an
    estimate, from which the billed figure "may differ by a small amount" (its page on token
    counting).
    """
    return counted + math.ceil(counted / 50) + 50


def call_bound(
    model: Model, *, input_tokens: int, max_output_tokens: int, hour_cache: bool = False
) -> Amounts:
    """What one call may take at most, in every unit.

    `hour_cache` says that the request may ask for the one-hour cache, which is dearer to write.
    """
    input_tokens += model.prompt_overhead
    return {
        Unit.MESSAGES: 1,
        Unit.TOKENS: input_tokens + max_output_tokens,
        Unit.MICROUSD: model.bound_microusd(input_tokens, max_output_tokens, hour_cache=hour_cache),
    }


def call_actual(model: Model, usage: Usage) -> Amounts:
    """What one answered call took, in every unit."""
    return {
        Unit.MESSAGES: 1,
        Unit.TOKENS: usage.total_tokens,
        Unit.MICROUSD: model.cost_microusd(usage),
    }
