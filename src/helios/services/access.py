"""Who may call through the gateway: its keys in use.

Every request asks, so the answer comes from a picture of all keys in memory. It is at most a second
old: a key that was revoked, here or in another process, lets nobody in a second later. Credentials
that are not known leave nothing behind and never reach the store, however many come.
"""

import asyncio
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from math import inf
from types import MappingProxyType
from typing import Any

import structlog

from helios.domain.budget.account import problem_with_account, problem_with_name
from helios.domain.gateway.key import (
    LOCAL,
    NO_KEY,
    NOT_KNOWN,
    OF_SUBSCRIPTION,
    SUBSCRIPTION_PREFIX,
    GatewayKey,
    Policy,
    Refused,
    problem_with_key,
    problem_with_model,
    too_many_calls,
)
from helios.domain.gateway.rate import Calls, take
from helios.errors import UsageError
from helios.ports.clock import Clock
from helios.ports.keys import KeyBook

PREFIX = "hel_"
SECRET_LENGTH = len(PREFIX) + 43

FRESH_S = 1.0
"""How old the picture of the keys may be."""

RENEW_S = 0.5
"""How old it is when a new one is made beside the calls, so that none waits for it."""

CLOSING_S = 0.5
"""How long it is waited at the end for what is still written down."""

NOTED_EVERY_S = 60.0
"""How often the use of a key is written down."""

MOST_CALLS_PER_MINUTE = 1_000_000

log = structlog.get_logger("helios.security")


@dataclass(frozen=True, slots=True)
class Admitted:
    """The call may pass, as one of this key's."""

    key: GatewayKey


@dataclass(slots=True)
class _InUse:
    """What this process knows of a key."""

    calls: Calls = field(default_factory=Calls)
    noted_at: float = -inf


class Access:
    """Issues keys and lets calls in by them. Limits of calls hold for each process by itself."""

    def __init__(self, book: KeyBook, clock: Clock) -> None:
        self._book = book
        self._clock = clock
        self._keys: Mapping[str, GatewayKey] = MappingProxyType({})
        self._read_at = -inf
        self._reading: asyncio.Task[None] | None = None
        self._in_use: dict[str, _InUse] = {}
        self._beside: set[asyncio.Task[None]] = set()

    async def issue(
        self,
        name: str,
        account: str,
        *,
        models: tuple[str, ...] = (),
        calls_per_minute: int = 0,
        policy: Policy = Policy.OFF,
        expires_at: float | None = None,
    ) -> tuple[str, GatewayKey]:
        """Make a key; its secret, which is kept nowhere, and what is kept.

        Raises:
            UsageError: a name, a number or a time that cannot be.
            ConflictError: there is a key of this name that was not revoked.
        """
        now = self._clock.now()
        problem = problem_with_name(name) or problem_with_account(account)
        if not 0 <= calls_per_minute <= MOST_CALLS_PER_MINUTE:
            problem = problem or f"{calls_per_minute} calls a minute are not possible"
        if expires_at is not None and not now < expires_at < inf:
            problem = problem or "a key cannot expire before it is made"
        if problem:
            raise UsageError(problem, next_step="`helios keys create --help` shows what can be.")
        secret = PREFIX + secrets.token_urlsafe(32)
        key = GatewayKey(name, account, models, calls_per_minute, policy, now, expires_at)
        await self._book.add(key, _digest(secret))
        self._read_at = -inf
        return secret, key

    async def revoke(self, name: str) -> bool:
        """End a key; whether there was one of this name that was not revoked."""
        ended = await self._book.revoke(name, self._clock.now())
        self._read_at = -inf
        return ended

    async def identify(self, credential: str | None) -> Admitted | Refused:
        """Whose credential this is, without counting a call: for the door, before the body.

        Raises:
            StoreError: the keys cannot be read, so nobody is let in.
        """
        found = await self._found(credential)
        return found if isinstance(found, Refused) else Admitted(found[1])

    async def admit(self, credential: str | None, model: str | None = None) -> Admitted | Refused:
        """Let one call in, and count it. Without a `model` it asks none, such as a list.

        Raises:
            StoreError: the keys cannot be read, so nobody is let in.
        """
        found = await self._found(credential)
        if isinstance(found, Refused):
            return found
        digest, key = found
        if key is LOCAL:
            return Admitted(key)
        refused = problem_with_model(key, model) if model is not None else None
        return refused or self._count(digest, key)

    async def close(self) -> None:
        """Give what is still written down a moment; the store may be closed then."""
        if self._beside:
            await asyncio.wait(self._beside, timeout=CLOSING_S)

    async def _found(self, credential: str | None) -> tuple[str, GatewayKey] | Refused:
        if credential and credential.startswith(SUBSCRIPTION_PREFIX):
            return OF_SUBSCRIPTION
        keys = await self._fresh_keys()
        if not keys:
            return "", LOCAL
        if not credential:
            return NO_KEY
        if not (_is_secret(credential) and (key := keys.get(digest := _digest(credential)))):
            return NOT_KNOWN
        return problem_with_key(key, self._clock.now()) or (digest, key)

    def _count(self, digest: str, key: GatewayKey) -> Admitted | Refused:
        now = self._clock.monotonic()
        in_use = self._in_use.setdefault(digest, _InUse())
        in_use.calls, wait_s = take(in_use.calls, key.calls_per_minute, now)
        if wait_s:
            return too_many_calls(key, wait_s)
        if now - in_use.noted_at >= NOTED_EVERY_S:
            in_use.noted_at = now
            self._start(self._book.used(digest, self._clock.now()))
        return Admitted(key)

    async def _fresh_keys(self) -> Mapping[str, GatewayKey]:
        """All keys as they were a second ago or later; one read serves all who wait."""
        asked_at = self._clock.monotonic()
        if asked_at - self._read_at >= RENEW_S and self._reading is None:
            self._renew()
        while asked_at - self._read_at >= FRESH_S:
            reading = self._reading or self._renew()
            await asyncio.wait((reading,))
            reading.result()
        return self._keys

    def _renew(self) -> asyncio.Task[None]:
        self._reading = self._start(self._read())
        return self._reading

    async def _read(self) -> None:
        began_at = self._clock.monotonic()
        try:
            self._keys = await self._book.by_digest()
            self._read_at = began_at
        finally:
            self._reading = None

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it beside the calls; `_beside` keeps it alive."""
        task = asyncio.get_running_loop().create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._beside.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("key-book", error=str(error))


def _digest(secret: str) -> str:
    """What is kept of a secret: it has 256 random bits, so that nobody can guess it back."""
    return sha256(secret.encode()).hexdigest()


def _is_secret(credential: str) -> bool:
    """Whether it can be a secret of ours: no work is spent on anything else."""
    return (
        len(credential) == SECRET_LENGTH and credential.startswith(PREFIX) and credential.isascii()
    )
