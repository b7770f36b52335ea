"""What the SDK's exceptions mean for the books: which failed calls are proved to cost nothing."""

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import anthropic
import httpx2

from helios.errors import (
    ConnectionLost,
    ModelError,
    ModelTimeout,
    Overloaded,
    RateLimited,
    RequestRefused,
)

# Raised before a byte of the request has left this machine, or while it was set up.
_UNSENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)

_CURES: Mapping[int, str] = {
    400: "Read the provider's reason; the request itself must change.",
    401: "Check the key: ANTHROPIC_API_KEY is missing a part, revoked or of another account.",
    402: "Check the account's credit and its spend limit.",
    403: "Check the key: it may not use this model or this workspace.",
    404: "Check the model's name and base_url, which must not end in /v1.",
    413: "Give the task fewer files: the request is larger than the provider takes.",
}
_SIMULATED_CURE = "Add the answer to the script file, or set ANTHROPIC_API_KEY."


def model_error(name: str, error: anthropic.APIError) -> ModelError:
    """The failure in Helios's terms; `name` is the provider's."""
    if isinstance(error, anthropic.APIStatusError):
        return _from_status(name, error)
    cause = error.__cause__
    detail = f"{type(cause).__name__}: {cause}".removesuffix(": ") if cause else error.message
    if isinstance(cause, _UNSENT):
        return ConnectionLost(
            f"{name}: {error.request.url.host} cannot be reached ({detail})",
            billed="no",
            next_step="Check the network, the proxy settings and base_url.",
        )
    if isinstance(error, anthropic.APITimeoutError):
        return ModelTimeout(f"{name}: no answer in time ({detail})", billed="unknown")
    return ConnectionLost(f"{name}: the connection broke ({detail})", billed="unknown")


def _from_status(name: str, error: anthropic.APIStatusError) -> ModelError:
    status = error.status_code
    said = error.api_message or error.response.reason_phrase or "no reason given"
    message = f"{name}: HTTP {status}: {said}"
    wait_s = retry_after_s(error.response.headers)
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
            simulated = error.response.headers.get("x-helios-simulated") == "true"
            cure = _SIMULATED_CURE if simulated and status == 400 else _CURES.get(status, "")
            return RequestRefused(message, billed="no", next_step=cure or _CURES[400])
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
