"""How many tokens an agent may write, learned from what it wrote before.

The bound is one of the lengths seen, so that it holds for lengths of any distribution: the
smallest order statistic that is at or above the 95 % quantile with 90 % confidence, and a quarter
more, because tomorrow's tasks are not quite yesterday's. It only chooses what is asked for; what
is asked for is held in full, so that a wrong guess costs a second call and never an overrun.
"""

import math
from collections.abc import Sequence

QUANTILE = 0.95
CONFIDENCE = 0.90
NEWEST = 200
"""Older replies are forgotten: agents, prompts and models change."""
LEAST_SAMPLES = 20
MARGIN = 1.25
"""Also what lets a bound that was too low grow: a reply cut off at it is a length a quarter above
what it was made from.
"""
WIDE_MARGIN = 2.0
"""With fewer than 45 replies, the longest of them covers the quantile with less confidence: 64 % at
20. It is doubled instead."""
FLOOR_TOKENS = 1024


def covering_rank(samples: int, quantile: float, confidence: float) -> int | None:
    """The smallest rank, from 1, whose order statistic is an upper bound of a quantile.

    The r-th smallest of n independent lengths is below the quantile q only if at least r of them
    are, and their number is binomial: it covers q with confidence P(Binomial(n, q) <= r - 1), with
    equality where lengths are continuous (Sommerville, Tables for Obtaining Non-Parametric
    Confidence Limits, Annals of Mathematical Statistics 29, 1958; Guenther, Determination of Sample
    Size for Distribution-Free Tolerance Limits, 1969).

    Returns:
        The rank; None when even the largest of so few does not cover it.
    """
    at_most = 0.0
    for below in range(samples):
        chance = quantile**below * (1 - quantile) ** (samples - below)
        at_most += math.comb(samples, below) * chance
        if at_most >= confidence:
            return below + 1
    return None


def learned_bound(lengths: Sequence[int], *, asked: int) -> int | None:
    """The output tokens to ask for instead of `asked`, learned from earlier replies.

    Args:
        lengths: output tokens of earlier calls, the newest first.
        asked: what the caller would ask for, in tokens.

    Returns:
        Fewer than `asked` and at least `FLOOR_TOKENS`; None when too little is known, or when the
        caller asks for no more than that.
    """
    newest = sorted(lengths[:NEWEST])
    if len(newest) < LEAST_SAMPLES:
        return None
    rank = covering_rank(len(newest), QUANTILE, CONFIDENCE)
    bound = newest[rank - 1] * MARGIN if rank else newest[-1] * WIDE_MARGIN
    tokens = max(FLOOR_TOKENS, math.ceil(bound))
    return tokens if tokens < asked else None
