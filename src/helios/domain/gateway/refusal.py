"""How the gateway says no: in the API's own form, so that each client stops or waits as it should.

    no room, and none will come     402 billing_error          clients stop
    the window is closed            429 rate_limit_error       retry-after, and do not retry alone
    room will come within a minute  429 rate_limit_error       retry-after, retry
    the key may not                 403 permission_error       401 would be tried ten times
    the request itself is wrong     400, 404, 413              clients stop
    the upstream meant Helios       502                        in place of its 401 and 3xx
    something is not to be reached  502, 503, 529              clients try again

Reasons may be in any language: they go into the body alone, never into a header.
"""

import json
import math
from dataclasses import dataclass, replace

from helios.domain.budget.ledger import BRAKE, Admission
from helios.errors import (
    BudgetExhausted,
    HeliosError,
    Overloaded,
    RateLimited,
    RequestRefused,
    StoreError,
    UnknownPrice,
)

Headers = tuple[tuple[bytes, bytes], ...]
SHORT_WAIT_S = 60
"""The longest wait, in seconds, that clients are asked to sit out by themselves."""
SOON_S = 2.0
"""When to ask again for room that is only held: calls end at any moment."""
LONGEST_MESSAGE = 2000
_NO_ROOM = "Helios's budget has no room"
_RAISE = "Raise the ceiling: helios budget set."
_LIFT = "Lift it: helios budget throttle off."
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
"""The event that keeps a held stream alive."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that no model gave. `kind` is the error's type in the API."""

    status: int
    kind: str
    message: str
    headers: Headers = ()

    def body(self, request_id: str) -> bytes:
        """The JSON body in the API's shape, in UTF-8."""
        error = {"type": self.kind, "message": self.message[:LONGEST_MESSAGE]}
        told = {"type": "error", "error": error, "request_id": request_id}
        return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")

    def as_sse_error(self, request_id: str) -> bytes:
        """The event that ends a stream which was opened before the answer was no."""
        return b"event: error\ndata: " + self.body(request_id) + b"\n\n"


def no_room(admission: Admission, now: float) -> Refusal:
    """Why a reservation was refused.

    Args:
        admission: the answer of the books, not granted.
        now: the ledger's time, in UTC seconds.
    """
    resets_at = math.inf if admission.resets_at is None else admission.resets_at
    left_s = resets_at - now
    if admission.binding == BRAKE:
        ends = f" for {_span(left_s)} more" if math.isfinite(left_s) else ""
        message = f"Helios's brake is on{ends}: {admission.reason}. {_LIFT}"
        if math.isfinite(left_s):
            return too_soon(message, left_s)
        return Refusal(429, "rate_limit_error", message, _advice(None, again=False))
    if admission.waits:
        message = f"{_NO_ROOM}: {admission.reason}. Other requests hold what is missing."
        return Refusal(429, "rate_limit_error", message, _advice(SOON_S, again=True))
    if not math.isfinite(left_s):
        return hard_stop(f"{_NO_ROOM}: {admission.reason}. {_RAISE}")
    return too_soon(f"{_NO_ROOM}: {admission.reason}. It resets in {_span(left_s)}.", left_s)


def never_fits(reason: str) -> Refusal:
    """402: not even an empty window has room for the smallest form of this request."""
    return hard_stop(
        f"this request is larger than Helios's budget ever has room for: {reason}. Ask for less "
        f"(a smaller max_tokens, a cheaper model), or raise the ceiling: helios budget set."
    )


def hard_stop(message: str) -> Refusal:
    """402: a limit is spent for good; only a higher limit helps."""
    return Refusal(402, "billing_error", message, _advice(None, again=False))


def too_soon(message: str, wait_s: float) -> Refusal:
    """429: there will be room in so many seconds; clients wait by themselves for a minute at most.

    For a closed window as for a key's own rate.
    """
    return Refusal(429, "rate_limit_error", message, _advice(wait_s, again=wait_s <= SHORT_WAIT_S))


def not_allowed(message: str) -> Refusal:
    """403: the key is unknown, expired or revoked, or may not ask this model."""
    return Refusal(403, "permission_error", message, _advice(None, again=False))


def bad_request(message: str) -> Refusal:
    """400: the request is none, or cannot be priced or bounded; the message names the cure."""
    return Refusal(400, "invalid_request_error", message, _advice(None, again=False))


def no_such_path(path: str) -> Refusal:
    """404: the gateway serves nothing there."""
    shown = path[:200] if path.isprintable() else "this path"
    hint = "; leave /v1 out of the base URL" if path.startswith("/v1/v1/") else ""
    return Refusal(404, "not_found_error", f"{shown} is not served here{hint}", ())


def no_such_method(method: str, allowed: str) -> Refusal:
    """405: the path is served, but not so."""
    message = f"this path takes {allowed}, not {method[:20]}"
    return Refusal(405, "invalid_request_error", message, ((b"allow", allowed.encode()),))


def too_large(most_bytes: int) -> Refusal:
    """413: the body is larger than the API takes."""
    message = f"the request is larger than {most_bytes:,} bytes"
    return Refusal(413, "request_too_large", message, _advice(None, again=False))


def store_down(message: str, wait_s: float = 5.0) -> Refusal:
    """503: the books cannot be asked, so nothing is sent."""
    return Refusal(503, "api_error", message, _advice(wait_s, again=True))


def unreachable(message: str) -> Refusal:
    """502: the upstream did not answer."""
    return Refusal(502, "api_error", message, ())


def in_place_of(status: int) -> Refusal | None:
    """502 where an answer of the upstream is meant for Helios alone, else None.

    Its key was refused (a client would try a 401 ten times, and doubt its own key), or it is to ask
    elsewhere (a client would take its gateway key there).
    """
    if status == 401:
        message = (
            "the provider refused Helios's own key: check ANTHROPIC_API_KEY where Helios was "
            "started; the key of this request is in order"
        )
    elif 300 <= status < 400:
        message = (
            f"the provider's address answered with a redirect ({status}), which is not followed: "
            "check ANTHROPIC_BASE_URL where Helios was started"
        )
    else:
        return None
    return Refusal(502, "api_error", message, _advice(None, again=False))


def overloaded(message: str, wait_s: float) -> Refusal:
    """529: the upstream failed too often and is left alone for so many seconds."""
    return Refusal(529, "overloaded_error", message, _advice(wait_s, again=True))


def of_error(error: HeliosError, now: float) -> Refusal:
    """How an error of Helios is told to a client; what is no refusal is a 502.

    Args:
        error: what was raised.
        now: the ledger's time, in UTC seconds.
    """
    message = error.in_full
    match error:
        case RequestRefused() | UnknownPrice():
            return bad_request(message)
        case BudgetExhausted(resets_at=at) if at is not None and math.isfinite(at):
            return too_soon(message, at - now)
        case BudgetExhausted():
            return hard_stop(message)
        case RateLimited(retry_after_s=wait_s):
            return too_soon(message, SOON_S if wait_s is None else wait_s)
        case Overloaded(retry_after_s=wait_s):
            return overloaded(message, SOON_S if wait_s is None else wait_s)
        case StoreError():
            return store_down(message)
        case _:
            return unreachable(message)


def only_once(refusal: Refusal) -> Refusal:
    """The same for what may have been done all the same: clients are to look, not to repeat it."""
    return replace(refusal, headers=_advice(None, again=False))


def _span(seconds: float) -> str:
    """How long, as people say it."""
    minutes = math.ceil(max(seconds, 0.0) / 60)
    if seconds <= 60:
        return f"{max(1, math.ceil(seconds))} s"
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def retry_after(wait_s: float) -> bytes:
    """Whole seconds, rounded up, at least 1 and at most a year."""
    year = 365 * 24 * 3600
    return b"%d" % (max(1, math.ceil(wait_s)) if wait_s < year else year)


def _advice(wait_s: float | None, *, again: bool) -> Headers:
    retry = (b"x-should-retry", b"true" if again else b"false")
    return (retry,) if wait_s is None else ((b"retry-after", retry_after(wait_s)), retry)
