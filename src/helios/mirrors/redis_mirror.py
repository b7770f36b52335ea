"""A status mirror on Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from helios.mirrors.address import Address
from helios.mirrors.outage import Outage, Way
from helios.ports.clock import Clock
from helios.ports.mirror import Found, Put

TIMEOUT_S = 0.25
"""How long a caller waits at most."""

LIVES_S = 86_400
"""What is old is read by nobody; it need not lie about for ever."""

IDLE_S = 1.0
"""How long a watcher that hears nothing waits until it looks for itself."""

_PUT = Path(__file__).with_name("put.lua").read_text("utf-8")


class RedisMirror:
    """`ports.mirror.StatusMirror` on Redis; connects when it is first used."""

    def __init__(self, address: Address, clock: Clock, *, timeout_s: float = TIMEOUT_S) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._address = address
        self._outage = Outage(address.place, clock)
        self._redis = _client(address, timeout_s)
        self._put = self._redis.register_script(_PUT)
        self._looks: dict[str, asyncio.Task[Found | None]] = {}

    async def look(self, name: str) -> Found | None:
        """What stands under a name; None when Redis does not answer.

        Those who look at the same moment share one answer: however many they are, one connection
        does.
        """
        look = self._looks.get(name)
        if look is None:
            look = self._looks[name] = asyncio.create_task(self._look(name))
            look.add_done_callback(lambda _: self._looks.pop(name, None))
        return await asyncio.shield(look)

    async def put(self, name: str, text: bytes, *, instead_of: Found) -> Put:
        """Let a text stand in place of what was found before, and tell watchers."""
        seen = instead_of.text or b""
        args: list[bytes | str | int] = [seen, text, self._channel(name), LIVES_S]
        done = await self._ask("write", lambda: self._put(keys=[_key(name)], args=args))
        if done is Put.AWAY:
            return Put.AWAY
        return Put.DONE if done else Put.REFUSED

    async def watch(self, name: str) -> AsyncIterator[bytes]:
        """What stands, and every text put from now on, without an end."""
        channel = self._channel(name)
        while True:
            pubsub = self._redis.pubsub()
            try:
                if await self._ask("watch", lambda: _subscribe(pubsub, channel)) is not Put.AWAY:  # noqa: B023
                    async for text in self._heard(pubsub, name):
                        yield text
            finally:
                await pubsub.aclose()  # type: ignore[no-untyped-call]
            await self._clock.sleep(self._outage.pause_s("watch"))

    async def close(self) -> None:
        """Let go of the connections."""
        for look in tuple(self._looks.values()):
            look.cancel()
        await self._redis.aclose()

    async def _look(self, name: str) -> Found | None:
        async def get() -> bytes | None:
            try:
                text = await self._redis.get(_key(name))
            except ResponseError as error:
                if str(error).startswith("WRONGTYPE"):
                    return None
                raise
            return text if isinstance(text, bytes) else None

        text = await self._ask("read", get)
        return None if text is Put.AWAY else Found(text)

    async def _heard(self, pubsub: PubSub, name: str) -> AsyncIterator[bytes]:
        """Looks at the beginning, and when nothing was heard for a while; ends with the line."""
        patience_s = IDLE_S + self._timeout_s
        while True:
            found = await self.look(name)
            if found and found.text:
                yield found.text
            while message := await self._ask(
                "watch", lambda: pubsub.get_message(timeout=IDLE_S), patience_s
            ):
                if message is Put.AWAY:
                    return
                yield message["data"]

    async def _ask(
        self, way: Way, call: Callable[[], Awaitable[Any]], timeout_s: float | None = None
    ) -> Any:
        """The answer to a call, or `Put.AWAY`."""
        if not self._outage.may_try(way):
            return Put.AWAY
        try:
            async with asyncio.timeout(timeout_s or self._timeout_s):
                answer = await call()
        except (RedisError, OSError, UnicodeError) as error:
            self._outage.failed(way, error)
            return Put.AWAY
        self._outage.worked(way)
        return answer

    def _channel(self, name: str) -> str:
        """Channels, unlike keys, are shared by all databases of a server."""
        return f"{_key(name)}@{self._address.db}"


def _key(name: str) -> str:
    return f"helios:budget:{name}"


def _client(address: Address, timeout_s: float) -> Redis:
    return Redis(
        **address.options,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        # Once: a connection that the server closed meanwhile is no outage.
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        driver_info=None,
        protocol=2,
    )


async def _subscribe(pubsub: PubSub, channel: str) -> None:
    """Listen, and wait until it is so: what is put from then on is heard."""
    await pubsub.subscribe(channel)
    if not await pubsub.get_message(timeout=TIMEOUT_S):
        raise TimeoutError
