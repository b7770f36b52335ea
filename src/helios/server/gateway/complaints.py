"""Refusals in the log: enough to see what happens, however many come.

A line holds nothing of a body, no query and no credential.
"""

import structlog

from helios.domain.gateway.refusal import Refusal
from helios.ports.clock import Clock
from helios.server.gateway.incoming import Incoming

MOST_PER_MINUTE = 30
LONGEST_PATH = 100
log = structlog.get_logger("helios.gateway")


class Complaints:
    """Notes refusals, and counts what it leaves out."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = clock.monotonic()
        self._noted = 0
        self._left_out = 0

    def note(self, incoming: Incoming, refusal: Refusal, request_id: str, because: str) -> None:
        """One request that was not served; `because` is ours, never the client's words."""
        now = self._clock.monotonic()
        if now - self._since >= 60.0:
            if self._left_out:
                log.warning("refusals left out", count=self._left_out)
            self._since, self._noted, self._left_out = now, 0, 0
        if self._noted >= MOST_PER_MINUTE:
            self._left_out += 1
            return
        self._noted += 1
        log.warning(
            "refused",
            request=request_id,
            status=refusal.status,
            because=because,
            method=incoming.method,
            path=incoming.path[:LONGEST_PATH],
        )
