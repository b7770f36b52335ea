"""An upstream behind a circuit breaker and a limit of concurrency that learns.

Who has no place waits in line; who waits too long is told when to come back. A request that finds
room goes at once, with nothing awaited but the upstream itself. A refusal (429, 503, 529) holds
the requests of its lane alone: the others go past them. What costs nothing has lanes of its own,
and what is refused there tells nothing of the others.
"""

import asyncio
import itertools
import math
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from helios.domain.gateway.breaker import Breaker, Outcome, Phase, ask, tell
from helios.domain.gateway.concurrency import (
    Concurrency,
    on_lane_loss,
    on_lane_overload,
    on_loss,
    on_success,
    room,
)
from helios.errors import ConnectionLost, ModelError, ModelTimeout, Overloaded, RateLimited
from helios.ports.clock import Clock
from helios.ports.upstream import Headers, Upstream, UpstreamReply, UpstreamRequest

LONGEST_WAIT_S = 30.0
MOST_WAITING = 2_000
MOST_LANES = 64
"""Remembered beyond those in use."""
_LOAD = frozenset({503, 529})
_REFUSED = _LOAD | {429}


@dataclass(frozen=True, slots=True)
class UpstreamState:
    """For people who look after it. `since` is when the breaker came there, UTC seconds."""

    name: str
    limit: int
    in_flight: int
    waiting: int
    breaker: Phase
    since: float


class _Lane:
    """Requests that a refusal holds together. `own` is what it taught, None before one; `limited`
    that the last was a rate limit.
    """

    __slots__ = ("in_flight", "limited", "line", "name", "own")

    def __init__(self, name: str) -> None:
        self.name = name
        self.own: Concurrency | None = None
        self.limited = False
        self.in_flight = 0
        self.line: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def is_free(self) -> bool:
        """Whether it is of a path, which costs nothing, instead of a model."""
        return self.name.startswith("/")

    def room(self, now: float) -> float:
        """How long its own limit keeps one more waiting, in seconds."""
        return 0.0 if self.own is None else room(self.own, self.in_flight, now)

    def closed_s(self, now: float) -> float:
        """How long nothing of it may go, in seconds."""
        return 0.0 if self.own is None else room(self.own, 0, now)

    def idle(self, now: float) -> bool:
        """Whether nobody would notice if it were forgotten, but for the limit it learned."""
        return not (self.in_flight or self.line or self.closed_s(now))


class GuardedUpstream:
    """Keeps an upstream from being asked more than it can take.

    Args:
        upstream: what is guarded; closed together with this.
        clock: what waiting is measured by.
        longest_wait_s: how long a request waits for a place, at most its own `timeout_s`.
        most_waiting: how many wait at once in a lane.
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
        self._lanes: dict[str, _Lane] = {}
        self._waiting = 0
        self._numbers = itertools.count()

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
            waiting=self._waiting,
            breaker=self._breaker.phase,
            since=self._since,
        )

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send a request once there is a place for it, and wait for the head of its answer.

        Raises:
            Overloaded: it was not sent; `retry_after_s` says when trying again is worth while.
            RateLimited: the same, where the provider's limit of its lane holds it for too long.
            ModelError: as the upstream says.
        """
        lane = self._lane(request.lane)
        if not self._entered(lane):
            await self._place(request, lane)
        return await self._carried(request, lane)

    async def begin(self, request: UpstreamRequest) -> asyncio.Future[UpstreamReply]:
        """Wait for a place, and begin to send.

        Cancelled before it returns, nothing was sent and nothing will be. What it returns is the
        sending, which goes on without its caller and ends as `send` does.

        Raises:
            Overloaded: there was no place; `retry_after_s` says when trying again is worth while.
            RateLimited: the same, where the provider's limit of its lane holds it for too long.
        """
        lane = self._lane(request.lane)
        if not self._entered(lane):
            await self._place(request, lane)
        return asyncio.ensure_future(self._carried(request, lane))

    async def close(self) -> None:
        """Send away who waits, and close the upstream."""
        for lane in self._lanes.values():
            while lane.line:
                _, place = lane.line.popleft()
                self._waiting -= 1
                if not place.done():
                    place.set_exception(self._full("Helios is stopping"))
        await self._upstream.close()

    def _lane(self, name: str) -> _Lane:
        lane = self._lanes.get(name)
        if lane is None:
            if len(self._lanes) >= MOST_LANES:
                now = self._clock.monotonic()
                self._lanes = {key: lane for key, lane in self._lanes.items() if not lane.idle(now)}
            lane = self._lanes[name] = _Lane(name)
        return lane

    def _entered(self, lane: _Lane) -> bool:
        """Take a place if one is free and nobody waits for any."""
        now = self._clock.monotonic()
        if self._waiting or room(self._concurrency, self._in_flight, now) > 0:
            return False
        if lane.own is not None and lane.room(now) > 0:
            return False
        self._in_flight += 1
        lane.in_flight += 1
        return True

    async def _carried(self, request: UpstreamRequest, lane: _Lane) -> UpstreamReply:
        """Send what has a place, which is given back with the reply or without one."""
        try:
            return await self._sent(request, lane)
        except BaseException:
            self._leave(lane)
            raise

    async def _sent(self, request: UpstreamRequest, lane: _Lane) -> UpstreamReply:
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
        self._answered(reply, permit.epoch, lane)
        return _HeldReply(reply, self, lane)

    def _answered(self, reply: UpstreamReply, epoch: int, lane: _Lane) -> None:
        failed = reply.status >= 500 and reply.status != 529
        self._tell(Outcome.FAILED if failed else Outcome.ANSWERED, epoch)
        now = self._clock.monotonic()
        if reply.status in _REFUSED:
            self._refused(reply, lane, now)
        elif not failed:
            self._concurrency = on_success(self._concurrency, self._in_flight, now)
            if lane.own:
                lane.own = on_success(lane.own, lane.in_flight, now)
            self._wake()

    def _refused(self, reply: UpstreamReply, lane: _Lane, now: float) -> None:
        wait_s = _retry_after_s(reply.headers)
        lane.limited = reply.status == 429
        if lane.limited or lane.is_free:
            lane.own = on_lane_loss(lane.own, self._concurrency, lane.in_flight, now, wait_s)
        else:
            self._concurrency = on_loss(self._concurrency, now)
            lane.own = on_lane_overload(lane.own, now, wait_s)

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

    async def _place(self, request: UpstreamRequest, lane: _Lane) -> None:
        """Wait in line for a place, which is ours when this returns."""
        now = self._clock.monotonic()
        if self._breaker.phase is not Phase.CLOSED:
            wait_s = ask(self._breaker, now).wait_s
            if wait_s > 0:
                raise self._open(wait_s)
        if len(lane.line) >= self._most_waiting:
            raise self._full("as many requests wait as may", lane.closed_s(now))
        deadline = now + min(self._longest_wait_s, request.timeout_s)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (next(self._numbers), place)
        lane.line.append(waiter)
        self._waiting += 1
        self._wake()  # those who wait already may all be of other lanes
        try:
            await self._granted(place, lane, deadline)
        except BaseException:
            if waiter in lane.line:
                lane.line.remove(waiter)
                self._waiting -= 1
            elif place.done() and not place.cancelled() and place.exception() is None:
                self._leave(lane)
            raise

    async def _granted(self, place: asyncio.Future[None], lane: _Lane, deadline: float) -> None:
        while not place.done():
            now = self._clock.monotonic()
            pause_s = self._pause(lane, now)
            self._check_in_time(lane, now, pause_s, deadline)
            pause = asyncio.ensure_future(self._clock.sleep(min(deadline - now, pause_s)))
            try:
                await asyncio.wait({place, pause}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                pause.cancel()
            self._wake()
        place.result()

    def _pause(self, lane: _Lane, now: float) -> float:
        """How long only time can help, in seconds; infinity when another's end must."""
        whole_s = room(self._concurrency, self._in_flight, now)
        return lane.closed_s(now) or max(whole_s, lane.room(now))

    def _check_in_time(self, lane: _Lane, now: float, pause_s: float, deadline: float) -> None:
        if now < deadline and (math.isinf(pause_s) or now + pause_s <= deadline):
            return
        closed_s = lane.closed_s(now)
        if closed_s > 0 and lane.limited:
            raise self._limited(lane, closed_s)
        raise self._full("no place came free in time", closed_s)

    def _leave(self, lane: _Lane) -> None:
        self._in_flight -= 1
        lane.in_flight -= 1
        if self._waiting:
            self._wake()

    def _wake(self) -> None:
        """Give free places to those who came first, past those whose own lane keeps them."""
        while self._waiting and (lane := self._next()):
            _, place = lane.line.popleft()
            self._waiting -= 1
            if not place.done():
                self._in_flight += 1
                lane.in_flight += 1
                place.set_result(None)

    def _next(self) -> _Lane | None:
        """The lane of whoever may go and came first."""
        now = self._clock.monotonic()
        if room(self._concurrency, self._in_flight, now) > 0:
            return None
        lanes = (lane for lane in self._lanes.values() if lane.line and lane.room(now) <= 0)
        return min(lanes, key=lambda lane: lane.line[0][0], default=None)

    def _open(self, retry_after_s: float) -> Overloaded:
        return Overloaded(
            f"{self.name}: the upstream keeps failing and is left alone for a while",
            billed="no",
            retry_after_s=retry_after_s,
            next_step="Look at the upstream's status page and at this machine's network.",
        )

    def _limited(self, lane: _Lane, retry_after_s: float) -> RateLimited:
        return RateLimited(
            f"{self.name}: the provider's rate limit for {lane.name or 'this key'} is reached",
            billed="no",
            retry_after_s=retry_after_s,
            next_step="Send fewer requests of this kind.",
        )

    def _full(self, why: str, closed_s: float = 0.0) -> Overloaded:
        return Overloaded(
            f"{self.name}: {why}; {self._in_flight} are on their way",
            billed="no",
            retry_after_s=max(1.0, closed_s),
            next_step="Send fewer requests at once.",
        )


class _HeldReply:
    """A reply that keeps its place until it is closed."""

    __slots__ = ("_guard", "_lane", "_open", "_reply", "headers", "status")

    def __init__(self, reply: UpstreamReply, guard: GuardedUpstream, lane: _Lane) -> None:
        self._reply = reply
        self._guard = guard
        self._lane = lane
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
            self._guard._leave(self._lane)  # noqa: SLF001 - the other half of this module


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
