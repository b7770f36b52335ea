"""An upstream behind a circuit breaker and a limit of concurrency that learns.

Who has no place waits in line; who waits too long is told when to come back. A request that finds
room goes at once, with nothing awaited but the upstream itself.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from helios.domain.gateway.breaker import Breaker, Outcome, Phase, ask, tell
from helios.domain.gateway.concurrency import Concurrency, on_loss, on_success, room
from helios.errors import ConnectionLost, ModelError, ModelTimeout, Overloaded
from helios.ports.clock import Clock
from helios.ports.upstream import Headers, Upstream, UpstreamReply, UpstreamRequest

LONGEST_WAIT_S = 30.0
MOST_WAITING = 2_000
_LOAD = frozenset({429, 503, 529})


@dataclass(frozen=True, slots=True)
class UpstreamState:
    """For people who look after it. `since` is when the breaker came there, UTC seconds."""

    name: str
    limit: int
    in_flight: int
    waiting: int
    breaker: Phase
    since: float


class GuardedUpstream:
    """Keeps an upstream from being asked more than it can take.

    Args:
        upstream: what is guarded; closed together with this.
        clock: what waiting is measured by.
        longest_wait_s: how long a request waits for a place, at most its own `timeout_s`.
        most_waiting: how many wait at once.
        concurrency: what is known of the upstream's capacity.
    """

    def __init__(
        self,
        upstream: Upstream,
        clock: Clock,
        *,
        longest_wait_s: float = LONGEST_WAIT_S,
        most_waiting: int = MOST_WAITING,
        concurrency: Concurrency | None = None,
    ) -> None:
        self._upstream = upstream
        self._clock = clock
        self._longest_wait_s = longest_wait_s
        self._most_waiting = most_waiting
        self._concurrency = concurrency or Concurrency()
        self._breaker = Breaker()
        self._since = clock.now()
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def name(self) -> str:
        """What people call it."""
        return self._upstream.name

    @property
    def simulated(self) -> bool:
        """Whether the answers come from the simulator instead of a model."""
        return self._upstream.simulated

    @property
    def state(self) -> UpstreamState:
        """How it stands now."""
        limit = math.floor(self._concurrency.limit)
        return UpstreamState(
            name=self.name,
            limit=limit,
            in_flight=self._in_flight,
            waiting=len(self._waiting),
            breaker=self._breaker.phase,
            since=self._since,
        )

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send a request once there is a place for it, and wait for the head of its answer.

        Raises:
            Overloaded: it was not sent; `retry_after_s` says when trying again is worth while.
            ModelError: as the upstream says.
        """
        if not self._entered():
            await self._place(request)
        return await self._carried(request)

    async def begin(self, request: UpstreamRequest) -> asyncio.Future[UpstreamReply]:
        """Wait for a place, and begin to send.

        Cancelled before it returns, nothing was sent and nothing will be. What it returns is the
        sending, which goes on without its caller and ends as `send` does.

        Raises:
            Overloaded: there was no place; `retry_after_s` says when trying again is worth while.
        """
        if not self._entered():
            await self._place(request)
        return asyncio.ensure_future(self._carried(request))

    async def close(self) -> None:
        """Send away who waits, and close the upstream."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_exception(self._full("Helios is stopping"))
        await self._upstream.close()

    def _entered(self) -> bool:
        """Take a place if one is free and nobody waits for it."""
        if self._waiting or room(self._concurrency, self._in_flight, self._clock.monotonic()) > 0:
            return False
        self._in_flight += 1
        return True

    async def _carried(self, request: UpstreamRequest) -> UpstreamReply:
        """Send what has a place, which is given back with the reply or without one."""
        try:
            return await self._sent(request)
        except BaseException:
            self._leave()
            raise

    async def _sent(self, request: UpstreamRequest) -> UpstreamReply:
        permit = ask(self._breaker, self._clock.monotonic())
        if permit.wait_s > 0:
            raise self._open(permit.wait_s)
        self._now_stands(permit.breaker)
        try:
            reply = await self._upstream.send(request)
        except ModelError as error:
            self._failed(error, permit.epoch)
            raise
        except BaseException:
            self._tell(Outcome.UNKNOWN, permit.epoch)
            raise
        self._answered(reply, permit.epoch)
        return _HeldReply(reply, self)

    def _answered(self, reply: UpstreamReply, epoch: int) -> None:
        failed = reply.status >= 500 and reply.status != 529
        self._tell(Outcome.FAILED if failed else Outcome.ANSWERED, epoch)
        now = self._clock.monotonic()
        if reply.status in _LOAD:
            wait_s = _retry_after_s(reply.headers)
            self._concurrency = on_loss(self._concurrency, now, wait_s)
        elif not failed:
            self._concurrency = on_success(self._concurrency, self._in_flight, now)
            self._wake()

    def _failed(self, error: ModelError, epoch: int) -> None:
        unreachable = isinstance(error, ConnectionLost | ModelTimeout) and error.billed == "no"
        broke = unreachable or isinstance(error, ConnectionLost)
        self._tell(Outcome.FAILED if broke else Outcome.UNKNOWN, epoch)
        if unreachable:
            self._concurrency = on_loss(self._concurrency, self._clock.monotonic())

    def _tell(self, outcome: Outcome, epoch: int) -> None:
        self._now_stands(tell(self._breaker, outcome, epoch, self._clock.monotonic()))

    def _now_stands(self, breaker: Breaker) -> None:
        if breaker.phase is not self._breaker.phase:
            self._since = self._clock.now()
        self._breaker = breaker

    async def _place(self, request: UpstreamRequest) -> None:
        """Wait in line for a place, which is ours when this returns."""
        now = self._clock.monotonic()
        if self._breaker.phase is not Phase.CLOSED:
            wait_s = ask(self._breaker, now).wait_s
            if wait_s > 0:
                raise self._open(wait_s)
        if len(self._waiting) >= self._most_waiting:
            raise self._full("as many requests wait as may")
        deadline = now + min(self._longest_wait_s, request.timeout_s)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await self._granted(place, deadline)
        except BaseException:
            if place in self._waiting:
                self._waiting.remove(place)
            elif place.done() and not place.cancelled() and place.exception() is None:
                self._leave()
            raise

    async def _granted(self, place: asyncio.Future[None], deadline: float) -> None:
        while not place.done():
            now = self._clock.monotonic()
            if now >= deadline:
                raise self._full("no place came free in time")
            pause_s = room(self._concurrency, self._in_flight, now)
            pause = asyncio.ensure_future(self._clock.sleep(min(deadline - now, pause_s)))
            try:
                await asyncio.wait({place, pause}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                pause.cancel()
            self._wake()
        place.result()

    def _leave(self) -> None:
        self._in_flight -= 1
        self._wake()

    def _wake(self) -> None:
        """Give free places to those at the head of the line."""
        while self._waiting:
            if room(self._concurrency, self._in_flight, self._clock.monotonic()) > 0:
                return
            place = self._waiting.popleft()
            if not place.done():
                self._in_flight += 1
                place.set_result(None)

    def _open(self, retry_after_s: float) -> Overloaded:
        return Overloaded(
            f"{self.name}: the upstream keeps failing and is left alone for a while",
            billed="no",
            retry_after_s=retry_after_s,
            next_step="Look at the upstream's status page and at this machine's network.",
        )

    def _full(self, why: str) -> Overloaded:
        closed_s = room(self._concurrency, 0, self._clock.monotonic())
        return Overloaded(
            f"{self.name}: {why}; {self._in_flight} are on their way",
            billed="no",
            retry_after_s=max(1.0, closed_s),
            next_step="Send fewer requests at once.",
        )


class _HeldReply:
    """A reply that keeps its place until it is closed."""

    __slots__ = ("_guard", "_open", "_reply", "headers", "status")

    def __init__(self, reply: UpstreamReply, guard: GuardedUpstream) -> None:
        self._reply = reply
        self._guard = guard
        self._open = True
        self.status: int = reply.status
        self.headers: Headers = reply.headers

    def chunks(self) -> AsyncIterator[bytes]:
        return self._reply.chunks()

    async def close(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            await self._reply.close()
        finally:
            self._guard._leave()  # noqa: SLF001 - the other half of this module


def _retry_after_s(headers: Headers) -> float | None:
    """The seconds that the upstream asks for; None for a date, which no provider sends for load."""
    for name, value in headers:
        if name == b"retry-after":
            try:
                seconds = float(value)
            except ValueError:
                return None
            return seconds if math.isfinite(seconds) else None
    return None
