"""The most a request of the Messages API can take, before it is sent.

Input tokens, for the first reading:

    counted_bound(counted)                              where the provider counted it
    input_bound(bytes - pictures) + IMAGE_TOKENS each   else, and TOOL_TOKENS for each tool that
                                                        the provider describes
    the whole window                                    where the provider adds a thread

Never more than the model's window, because the provider refuses a longer prompt. Each further
reading, by a tool that the provider runs or by a summary of the context, takes a whole window at
most. Output is `max_tokens` once, which bounds the whole answer (reference of the Messages API),
and once more what any model can write where the context is summarised. Uses of tools cost
`tool_fee_microusd`. Every model that the provider may fall back on counts as one more such call,
in a window of its own.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from helios.domain.budget.estimate import call_bound, counted_bound, input_bound
from helios.domain.budget.units import Amounts, Unit
from helios.domain.gateway.contents import LOOP_LIMIT
from helios.domain.gateway.request import Asked
from helios.domain.pricing import Model
from helios.errors import RequestRefused

IMAGE_TOKENS = 6_000
"""A picture takes 4,784 tokens at most, however small its file (provider's page "Vision", models
with high resolution), and a quarter more.
"""
CONTEXT_TOKENS = 1_000_000
"""The largest window of any model: the bound where a model's own is not known."""
# `context-1m-2025-08-07` and whatever follows it, but not `context-management-2025-06-27`.
_LARGER_WINDOW = re.compile(rb"\bcontext-\d", re.IGNORECASE)
LONGEST_OUTPUT = 128_000
"""The most output tokens any model writes at once (provider's page "Models overview")."""
LEAST_OUTPUT = 256
SEARCH_FEE_MICROUSD = 10_000
"""The fee for one use of the only tool that has one: 10 dollars for a thousand searches (provider's
page "Pricing", and genai-prices).
"""


def raw_bound(
    asked: Asked,
    body_len: int,
    model: Model,
    counted: int | None = None,
    *,
    larger_window: bool = True,
    tool_fee_microusd: int = 0,
    fallbacks: Sequence[Model] = (),
) -> Amounts:
    """What a request takes at most, in every unit.

    Args:
        asked: what it asks for.
        body_len: its length in bytes.
        model: who answers.
        counted: input tokens as the provider counted them for this request, if it did.
        larger_window: the request may ask for more than a model's own window (see
            `asks_for_larger_window`), or nobody looked.
        tool_fee_microusd: the dearest fee for one use of a server tool.
        fallbacks: the models of `asked.fallbacks`, in their order.

    Raises:
        RequestRefused: it needs to be counted, and was not; or it names models to fall back on
            that are not among `fallbacks`.
    """
    if len(fallbacks) < len(asked.fallbacks):
        raise RequestRefused(
            "fallbacks: the models to fall back on are not bounded here",
            billed="no",
            next_step="Leave `fallbacks` out.",
        )
    longest = max([asked.max_tokens, *(own for _, own in asked.fallbacks)])
    calls = [(model, asked.max_tokens), *((other, longest) for other in fallbacks)]
    bounds = []
    for answering, output in calls:
        window = window_of(answering, larger=larger_window)
        tokens = first_reading(asked, body_len, counted, context_tokens=window)
        tokens += (asked.rounds + asked.compaction) * window
        bounds.append(_call(asked, answering, tokens, output))
    uses = LOOP_LIMIT if asked.server_tool_uses is None else asked.server_tool_uses
    return {
        Unit.MESSAGES: 1,
        Unit.TOKENS: sum(bound[Unit.TOKENS] for bound in bounds),
        Unit.MICROUSD: sum(bound[Unit.MICROUSD] for bound in bounds)
        + len(calls) * uses * tool_fee_microusd,
    }


def _call(asked: Asked, model: Model, tokens: int, output: int) -> Amounts:
    if asked.compaction:
        output += max(output, model.max_output_tokens, LONGEST_OUTPUT)
    return call_bound(
        model, input_tokens=tokens, max_output_tokens=output, hour_cache=asked.hour_cache
    )


def asks_for_larger_window(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request asks for a beta that makes a model's window larger than it is listed."""
    return any(
        name.lower() == b"anthropic-beta" and _LARGER_WINDOW.search(value) is not None
        for name, value in headers
    )


def window_of(model: Model, *, larger: bool) -> int:
    """The most tokens a prompt may have, where it is known; `larger` if a beta may extend it."""
    if model.context_tokens is None:
        return CONTEXT_TOKENS
    return max(model.context_tokens, CONTEXT_TOKENS) if larger else model.context_tokens


def first_reading(
    asked: Asked, body_len: int, counted: int | None = None, *, context_tokens: int = CONTEXT_TOKENS
) -> int:
    """The most input tokens of the first reading of a request.

    Raises:
        RequestRefused: it needs to be counted, and was not.
    """
    if asked.remote_context:
        return context_tokens
    if counted is not None:
        return min(context_tokens, counted_bound(counted))
    if asked.needs_count:
        raise RequestRefused(
            f"its input cannot be bounded ({', '.join(asked.unbounded)}), and was not counted",
            billed="no",
            next_step="Send files as text or pictures in base64, or ask a provider that counts.",
        )
    text = max(0, body_len - asked.image_characters)
    added = asked.images * IMAGE_TOKENS + asked.tool_tokens
    return min(context_tokens, input_bound(text) + added)


def lowered_max_tokens(
    room: Mapping[Unit, int],
    model: Model,
    input_tokens: int,
    asked: int,
    *,
    hour_cache: bool = False,
    floor: int = LEAST_OUTPUT,
) -> int | None:
    """The largest `max_tokens` up to `asked` with which a call fits.

    Args:
        room: what is left, in the units that are limited.
        model: who answers.
        input_tokens: the most that goes in.
        asked: the `max_tokens` asked for.
        hour_cache: something may be written to the one-hour cache.
        floor: no answer shorter than this is any use (see `least_output`).

    Returns:
        None when not even the shortest useful answer fits.
    """

    def fits(tokens: int) -> bool:
        bound = call_bound(
            model, input_tokens=input_tokens, max_output_tokens=tokens, hour_cache=hour_cache
        )
        return all(bound.get(unit, 0) <= left for unit, left in room.items())

    return _largest(min(floor, asked), asked, fits)


def least_output(asked: Asked) -> int:
    """The fewest tokens an answer is worth lowering to: the API wants more than the budget for
    thinking.
    """
    return max(LEAST_OUTPUT, asked.thinking_budget + 1)


def _largest(low: int, high: int, fits: Callable[[int], bool]) -> int | None:
    """The largest that fits, where what is above one that does not fit does not fit either."""
    if not fits(low):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
