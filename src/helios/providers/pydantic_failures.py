"""What pydantic-ai's exceptions mean for the books: which failed calls cost nothing for sure."""

from collections.abc import Mapping

from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelQuotaExceededError,
    ModelTimeoutError,
    UserError,
)

from helios.errors import BadOutput, ConnectionLost, ModelError, ModelTimeout, RequestRefused
from helios.providers.statuses import status_error

_CURES: Mapping[int, str] = {
    400: "Read the provider's reason; the request itself must change.",
    401: "Check the key: it is missing a part, revoked or of another account.",
    402: "Check the account's credit and its spend limit.",
    403: "Check the key: it may not use this model.",
    404: "Check the model's name and the vendor before it, such as openai:, and the endpoint.",
    413: "Give the task fewer files: the request is larger than the provider takes.",
}
_UNSENT = ("pool", "connect")
LONGEST_REASON = 500


def model_error(name: str, error: Exception, *, sent: bool) -> ModelError:
    """The failure in Helios's terms.

    Args:
        name: the provider's.
        error: whatever a model of pydantic-ai raised.
        sent: whether a request had been handed to the network.
    """
    if isinstance(error, ModelHTTPError):
        return _from_status(name, error)
    if not sent:
        return RequestRefused(
            f"{name}: the request cannot be sent: {error}",
            billed="no",
            next_step="The model does not take what this task needs; name another one.",
        )
    if isinstance(error, ModelConnectionError):
        return _from_connection(name, error)
    if isinstance(error, ModelAPIError):
        return ConnectionLost(
            f"{name}: {_cut(error.message)}",
            billed="unknown",
            next_step="Try again; if it stays, look for a proxy between here and the provider.",
        )
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    return BadOutput(f"{name}: the answer is not one: {kind}{_cut(str(error))}", billed="unknown")


def _from_status(name: str, error: ModelHTTPError) -> ModelError:
    message = f"{name}: HTTP {error.status_code}: {_reason(error)}"
    # Some vendors say 429 where waiting does not help.
    if isinstance(error, ModelQuotaExceededError) and error.status_code < 500:
        return RequestRefused(message, billed="no", next_step=_CURES[402])
    found = status_error(error.status_code, message, error.retry_after, _CURES)
    if error.in_stream:
        found.billed = "unknown"
    return found


def _from_connection(name: str, error: ModelConnectionError) -> ModelError:
    cause = error.__cause__
    detail = f"{type(cause).__name__}: {cause}".removesuffix(": ") if cause else error.message
    if error.phase in _UNSENT:
        return ConnectionLost(
            f"{name}: the endpoint cannot be reached ({detail})",
            billed="no",
            next_step="Check the network, the proxy settings and the vendor's base URL.",
        )
    if isinstance(error, ModelTimeoutError):
        return ModelTimeout(f"{name}: no answer in time ({detail})", billed="unknown")
    return ConnectionLost(f"{name}: the connection broke ({detail})", billed="unknown")


def _reason(error: ModelHTTPError) -> str:
    body = error.body
    for _ in range(2):
        if isinstance(body, Mapping):
            body = body.get("message", body.get("error", body))
    return _cut(str(body)) if body else "no reason given"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."
