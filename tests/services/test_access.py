"""Who is let in, how fast a revocation works, and what strangers cost."""

import asyncio
import re
import secrets
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from helios.domain.gateway.key import LOCAL, GatewayKey, Policy, Reason, Refused
from helios.errors import ConflictError, StoreError, UsageError
from helios.ports.keys import KeyBook
from helios.services.access import Access, Admitted
from helios.stores.open import open_stores
from helios.testing.clock import MovableClock

CREDENTIALS = (
    None,
    "",
    "x",
    "hel_" + "a" * 43,
    "sk-ant-api03-x",
    "키" * 47,
    "hel_" + "\udcff" * 43,
)
OAT = "sk-ant-oat01-secret"


class WatchedBook:
    """A real book whose reads are counted, and may be held up or refused."""

    def __init__(self, book: KeyBook) -> None:
        self._book = book
        self.reads = 0
        self.noted: list[float] = []
        self.broken = False
        self.gate = asyncio.Event()
        self.gate.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._book, name)

    async def by_digest(self) -> Mapping[str, GatewayKey]:
        self.reads += 1
        found = await self._book.by_digest()
        await self.gate.wait()
        if self.broken:
            raise StoreError("the book is away")
        return found

    async def used(self, digest: str, at: float) -> None:
        self.noted.append(at)
        await self.gate.wait()
        await self._book.used(digest, at)


@asynccontextmanager
async def opened(url: str, clock: MovableClock) -> AsyncIterator[tuple[Access, WatchedBook]]:
    stores = open_stores(url, clock)
    book = WatchedBook(stores.keys)
    access = Access(book, clock)
    try:
        yield access, book
    finally:
        await access.close()
        await stores.close()


def reason_of(answer: Admitted | Refused) -> Reason | None:
    return answer.reason if isinstance(answer, Refused) else None


async def turns(count: int = 20) -> None:
    """Let what runs beside go on."""
    for _ in range(count):
        await asyncio.sleep(0.005)


def test_without_any_key_everybody_is_local_and_with_one_nobody(store_url: str) -> None:
    async def play() -> None:
        clock = MovableClock()
        async with opened(store_url, clock) as (access, _):
            for credential in CREDENTIALS:
                assert await access.admit(credential, "any-model") == Admitted(LOCAL)
                assert await access.identify(credential) == Admitted(LOCAL)
            assert (LOCAL.name, LOCAL.account) == ("local", "")
            secret, _ = await access.issue("ci", "keys/ci")
            for end in (False, True):
                if end:
                    assert await access.revoke("ci")
                for credential in CREDENTIALS:
                    wanted = Reason.UNKNOWN if credential else Reason.MISSING
                    assert reason_of(await access.admit(credential, "any-model")) is wanted
            assert reason_of(await access.admit(secret, "any-model")) is Reason.REVOKED

    asyncio.run(play())


def test_a_subscription_is_never_stood_in_for(sqlite_store_url: str) -> None:
    async def play() -> None:
        async with opened(sqlite_store_url, MovableClock()) as (access, _):
            for _ in range(2):
                refused = await access.admit(OAT, "claude-opus-5-5")
                assert isinstance(refused, Refused)
                assert refused.reason is Reason.SUBSCRIPTION
                assert "docs/subscriptions.md" in refused.message
                assert OAT not in refused.message
                assert reason_of(await access.identify(OAT)) is Reason.SUBSCRIPTION
                await access.issue("ci", "")
                await access.revoke("ci")

    asyncio.run(play())


def test_a_key_is_what_was_asked_for_and_its_secret_is_kept_nowhere(sqlite_store_url: str) -> None:
    async def play() -> None:
        clock = MovableClock()
        async with opened(sqlite_store_url, clock) as (access, book):
            secret, key = await access.issue(
                "지훈",
                "회사/모바일",
                models=("claude-*",),
                calls_per_minute=3,
                policy=Policy.ADVISE,
                expires_at=clock.now() + 5,
            )
            assert re.fullmatch(r"hel_[A-Za-z0-9_-]{43}", secret)
            assert key == GatewayKey(
                "지훈", "회사/모바일", ("claude-*",), 3, Policy.ADVISE, clock.now(), clock.now() + 5
            )
            assert await access.admit(secret, "claude-opus-5-5") == Admitted(key)
            assert await access.identify(secret) == Admitted(key)
            (digest,) = await book.by_digest()
            assert re.fullmatch(r"[0-9a-f]{64}", digest)
            assert (await access.issue("둘", ""))[0] != secret
            with pytest.raises(ConflictError):
                await access.issue("지훈", "")
        with sqlite3.connect(sqlite_store_url.removeprefix("sqlite:///")) as connection:
            assert secret not in "\n".join(connection.iterdump())

    asyncio.run(play())


@pytest.mark.parametrize(
    ("name", "account", "more", "said"),
    [
        ("a b", "", {}, "'a b' must be"),
        ("", "", {}, "must be"),
        ("ci", "회사//모바일", {}, "must be"),
        ("ci", "a/" * 8 + "a", {}, "deeper"),
        ("ci", "", {"calls_per_minute": -1}, "-1 calls a minute"),
        ("ci", "", {"calls_per_minute": 10**9}, "calls a minute"),
        ("ci", "", {"expires_at": MovableClock().now()}, "expire"),
        ("ci", "", {"expires_at": float("nan")}, "expire"),
        ("ci", "", {"expires_at": float("inf")}, "expire"),
    ],
)
def test_what_cannot_be_is_not_issued(
    sqlite_store_url: str, name: str, account: str, more: dict, said: str
) -> None:
    async def play() -> None:
        async with opened(sqlite_store_url, MovableClock()) as (access, book):
            with pytest.raises(UsageError, match=said):
                await access.issue(name, account, **more)
            assert await book.keys() == ()

    asyncio.run(play())


def test_models_and_time_are_minded_and_refusals_use_up_nothing(sqlite_store_url: str) -> None:
    async def play() -> None:
        clock = MovableClock()
        async with opened(sqlite_store_url, clock) as (access, _):
            secret, key = await access.issue(
                "ci",
                "",
                models=("claude-haiku-*",),
                calls_per_minute=2,
                expires_at=clock.now() + 100,
            )
            for _ in range(5):
                refused = await access.admit(secret, "claude-opus-5-5")
                assert reason_of(refused) is Reason.MODEL
                assert await access.identify(secret) == Admitted(key)
            assert await access.admit(secret, "claude-haiku-5-5") == Admitted(key)
            assert await access.admit(secret) == Admitted(key)
            many = await access.admit(secret, "claude-haiku-5-5")
            assert isinstance(many, Refused)
            assert (many.reason, many.wait_s) == (Reason.RATE, 60.1)
            clock.move(many.wait_s - 0.002)
            assert reason_of(await access.admit(secret)) is Reason.RATE
            clock.move(0.002)
            assert isinstance(await access.admit(secret), Admitted)
            clock.move(100)
            assert reason_of(await access.admit(secret)) is Reason.EXPIRED
            assert reason_of(await access.identify(secret)) is Reason.EXPIRED

    asyncio.run(play())


def test_each_key_has_its_own_minute(sqlite_store_url: str) -> None:
    async def play() -> None:
        async with opened(sqlite_store_url, MovableClock()) as (access, _):
            issued = [await access.issue(f"k{n}", "", calls_per_minute=5) for n in range(3)]
            for secret, _ in issued:
                answers = await asyncio.gather(*(access.admit(secret) for _ in range(20)))
                assert sum(isinstance(answer, Admitted) for answer in answers) == 5

    asyncio.run(play())


def test_a_revocation_works_after_a_second_in_every_process(store_url: str) -> None:
    async def play() -> None:
        clock = MovableClock()
        async with opened(store_url, clock) as (here, _), opened(store_url, clock) as (there, _):
            secret, _ = await here.issue("ci", "")
            assert isinstance(await there.admit(secret), Admitted)
            clock.move(0.49)
            assert await here.revoke("ci")
            assert reason_of(await here.admit(secret)) is Reason.REVOKED
            clock.move(0.51)
            assert reason_of(await there.admit(secret)) is Reason.REVOKED

    asyncio.run(play())


def test_a_picture_that_took_long_to_read_is_not_taken_for_new(sqlite_store_url: str) -> None:
    """A read that began before the revocation ends long after it."""

    async def play() -> None:
        clock = MovableClock()
        async with opened(sqlite_store_url, clock) as (access, book):
            secret, _ = await access.issue("ci", "")
            await access.admit(secret)
            clock.move(0.6)
            book.gate.clear()
            assert isinstance(await access.admit(secret), Admitted), "nobody waits for a renewal"
            await turns()
            await book.revoke("ci", clock.now())
            clock.move(1.5)
            asking = asyncio.create_task(access.admit(secret))
            await turns()
            assert not asking.done()
            book.gate.set()
            assert reason_of(await asking) is Reason.REVOKED

    asyncio.run(play())


def test_strangers_cost_no_memory_and_two_reads_a_second(sqlite_store_url: str) -> None:
    async def play() -> None:
        clock = MovableClock()
        async with opened(sqlite_store_url, clock) as (access, book):
            await access.issue("ci", "")
            for step in range(200):
                clock.move(0.05)
                for n in range(20):
                    stranger = f"hel_{secrets.token_urlsafe(32)}" if n % 2 else "x" * (step + 1)
                    assert reason_of(await access.admit(stranger, "m")) is Reason.UNKNOWN
                await access.close()
            assert 10 <= book.reads <= 21
            assert not access._in_use
            assert len(access._keys) == 1

    asyncio.run(play())


def test_all_who_wait_share_one_read_and_one_who_leaves_disturbs_nobody(
    sqlite_store_url: str,
) -> None:
    async def play() -> None:
        async with opened(sqlite_store_url, MovableClock()) as (access, book):
            secret, key = await access.issue("ci", "")
            book.gate.clear()
            asking = [asyncio.create_task(access.admit(secret)) for _ in range(50)]
            await turns()
            asking[0].cancel()
            asking[7].cancel()
            await turns(2)
            book.gate.set()
            answers = await asyncio.gather(*asking, return_exceptions=True)
            assert sum(answer == Admitted(key) for answer in answers) == 48
            assert book.reads == 1

    asyncio.run(play())


def test_nobody_gets_in_while_the_keys_cannot_be_read(sqlite_store_url: str) -> None:
    async def play() -> None:
        clock = MovableClock()
        async with opened(sqlite_store_url, clock) as (access, book):
            book.broken = True
            for credential in CREDENTIALS:
                with pytest.raises(StoreError):
                    await access.admit(credential)
            book.broken = False
            secret, key = await access.issue("ci", "")
            assert await access.admit(secret) == Admitted(key)
            book.broken = True
            clock.move(0.6)
            assert await access.admit(secret) == Admitted(key)
            await turns()
            assert await access.admit(secret) == Admitted(key), "the picture is good for a second"
            clock.move(0.4)
            with pytest.raises(StoreError):
                await access.admit(secret)
            book.broken = False
            assert await access.admit(secret) is not None

    asyncio.run(play())


def test_use_is_noted_once_a_minute_and_no_call_waits_for_it(sqlite_store_url: str) -> None:
    async def play() -> None:
        clock = MovableClock()
        async with opened(sqlite_store_url, clock) as (access, book):
            secret, key = await access.issue("ci", "")
            await access.issue("unused", "")
            await access.admit(secret)
            book.gate.clear()
            first = clock.now()
            for _ in range(9):
                clock.move(0.1)
                assert isinstance(await access.admit(secret), Admitted)
            book.gate.set()
            for _ in range(30):
                clock.move(2)
                await access.admit(secret)
            await access.close()
            assert len(book.noted) == 2
            assert book.noted[0] == first
            used, unused = await book.keys()
            assert used == replace(key, last_used_at=book.noted[1])
            assert unused.last_used_at is None

    asyncio.run(play())


def test_a_store_that_does_not_answer_does_not_keep_the_end_waiting(sqlite_store_url: str) -> None:
    async def play() -> None:
        async with opened(sqlite_store_url, MovableClock()) as (access, book):
            secret, _ = await access.issue("ci", "")
            await access.admit(secret)
            book.gate.clear()
            access._start(book.used("걸림", 0.0))
            async with asyncio.timeout(60):
                await access.close()
            book.gate.set()

    asyncio.run(play())
