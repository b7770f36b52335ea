"""What the SDK's exceptions mean for the books: which failed calls are proved to cost nothing."""

from collections.abc import Mapping

import anthropic
import httpx2

from helios.domain.gateway.usage import FROM_BETWEEN, is_api_error
from helios.errors import ConnectionLost, ModelError, ModelTimeout
from helios.providers.statuses import retry_after_s, status_error

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
    status, headers = error.status_code, error.response.headers
    said = error.api_message or error.response.reason_phrase or "no reason given"
    simulated = headers.get("x-helios-simulated") == "true"
    cures = {**_CURES, 400: _SIMULATED_CURE} if simulated else _CURES
    failure = status_error(status, f"{name}: HTTP {status}: {said}", retry_after_s(headers), cures)
    if status not in FROM_BETWEEN and is_api_error(error.body):
        # The provider bills what an answer's usage tells: its own error has none.
        failure.billed = "no"
    return failure
