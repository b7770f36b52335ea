"""Randomness that can be had again: drawn from a seed and from what is asked."""

import hashlib
import math
from statistics import NormalDist

_NORMAL = NormalDist()


def draw(seed: int, *what: object) -> float:
    """A number between 0 and 1, both excluded; always the same for the same arguments."""
    key = "/".join(str(part) for part in (seed, *what)).encode()
    return (int.from_bytes(hashlib.sha256(key).digest()[:6]) + 0.5) / 2**48


def lognormal(spread: float, point: float) -> float:
    """A factor around the median 1.

    Args:
        spread: the standard deviation of the factor's logarithm; 0 is always 1.
        point: from `draw`.
    """
    return 1.0 if spread == 0 else math.exp(spread * _NORMAL.inv_cdf(point))
