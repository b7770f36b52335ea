"""What an HTTP status says about the charge, the same for every vendor."""

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from helios.errors import (
    ConnectionLost,
    ModelError,
    ModelTimeout,
    Overloaded,
    RateLimited,
    RequestRefused,
)


def status_error(
    status: int, message: str, wait_s: float | None, cures: Mapping[int, str]
) -> ModelError:
    """The error an answer of this status amounts to.

    Args:
        status: 400 or above.
        message: what people read.
        wait_s: the provider's wish, in seconds.
        cures: what helps, by status; that of 400 stands for every refusal that is not listed.
    """
    match status:
        case 429:
            return RateLimited(message, billed="no", retry_after_s=wait_s)
        case 503 | 529:
            return Overloaded(message, billed="no", retry_after_s=wait_s)
        case 408:
            return ModelTimeout(message, billed="no", retry_after_s=wait_s)
        case 500:
            return Overloaded(message, billed="unknown", retry_after_s=wait_s)
        case _ if 400 <= status < 500:
            cure = cures.get(status) or cures.get(400, "")
            return RequestRefused(message, billed="no", next_step=cure)
        case _:
            return ConnectionLost(message, billed="unknown", retry_after_s=wait_s)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The provider's wish in seconds; a date counts from the answer's own date."""
    text = headers.get("retry-after")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return _until(text, headers.get("date"))
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _until(text: str, answered: str | None) -> float | None:
    if answered is None:
        return None
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(answered)
    except (ValueError, TypeError):
        return None
    return max(0.0, wait.total_seconds())
