"""While a server is away: who asks is answered at once, now and then one call tries again."""

import ssl
from dataclasses import dataclass
from typing import Literal

import structlog
from redis.exceptions import AuthenticationError, NoPermissionError, OutOfMemoryError
from redis.exceptions import TimeoutError as RedisTimeout

from helios.ports.clock import Clock

FIRST_S = 0.5
LONGEST_S = 10.0

Way = Literal["read", "write", "watch"]
"""Each fails for itself: a server that is full still answers readers."""


@dataclass(slots=True)
class _Pause:
    length_s: float
    until: float
    tried: bool = False


class Outage:
    """Says when trying is worth while; writes one line when it begins and one when it is over."""

    def __init__(self, place: str, clock: Clock) -> None:
        self._place = place
        self._clock = clock
        self._pauses: dict[Way, _Pause] = {}

    def may_try(self, way: Way) -> bool:
        """Whether to call the server; of many who ask in an outage, one is told yes."""
        pause = self._pauses.get(way)
        if pause is None:
            return True
        now = self._clock.monotonic()
        if now < pause.until:
            return False
        pause.until = now + pause.length_s
        pause.tried = True
        return True

    def pause_s(self, way: Way) -> float:
        """How long until the next try, in seconds."""
        pause = self._pauses.get(way)
        return max(0.0, pause.until - self._clock.monotonic()) if pause else 0.0

    def failed(self, way: Way, error: BaseException) -> None:
        """A call did not succeed."""
        if not self._pauses:
            structlog.get_logger("helios.system").warning(
                "the status mirror is away; the ledger answers", redis=self._place, why=why(error)
            )
        before = self._pauses.get(way)
        if before and not before.tried:
            return  # called before the pause began: no news
        length_s = min(LONGEST_S, before.length_s * 2) if before else FIRST_S
        self._pauses[way] = _Pause(length_s, self._clock.monotonic() + length_s)

    def worked(self, way: Way) -> None:
        """A call succeeded."""
        if self._pauses.pop(way, None) and not self._pauses:
            structlog.get_logger("helios.system").info(
                "the status mirror is back", redis=self._place
            )


def why(error: BaseException) -> str:
    """The cause in words of our own: a driver's may quote what was sent, secrets too."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    kinds: tuple[tuple[type[BaseException], str], ...] = (
        (AuthenticationError, "it refuses the user or password"),
        (NoPermissionError, "it does not let this user do that"),
        (OutOfMemoryError, "its memory is full"),
        (ssl.SSLCertVerificationError, "its certificate is not trusted"),
        (ssl.SSLError, "TLS does not come about"),
        (ConnectionRefusedError, "nobody listens there"),
        (RedisTimeout, "it does not answer in time"),
        (TimeoutError, "it does not answer in time"),
    )
    for kind, words in kinds:
        if any(isinstance(link, kind) for link in chain):
            return words
    return f"the connection fails ({type(error).__name__})"
