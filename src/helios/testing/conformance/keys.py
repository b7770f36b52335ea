"""The promises of `ports.keys`, as checks."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from helios.domain.gateway.key import GatewayKey, Policy
from helios.errors import ConflictError
from helios.ports.keys import KeyBook, OpenBatch
from helios.testing.conformance.suite import Suite, refused

OpenKeyBook = Callable[[], AbstractAsyncContextManager[KeyBook]]
"""Opens the book; a second opening finds the same, also while the first is open."""

NOON = 1_800_000_000.0

PLAIN = GatewayKey("ci", "", created_at=NOON)
FULL = GatewayKey(
    "지훈-노트북",
    "회사/모바일",
    ("claude-haiku-*", "모델-?", "[a-z]*"),
    2**53 + 1,
    Policy.ENFORCE,
    NOON + 0.1 + 0.2,
    NOON + 1 / 3,
    NOON + 0.7,
    NOON + 0.9,
)
BATCH = OpenBatch(
    "요청-1", "msgbatch_01", "회사", "회사/모바일", "가게", simulated=False, created_at=NOON
)


class KeyBookConformance(Suite):
    """Run every check on a book without keys and batches."""

    def __init__(self, open_book: OpenKeyBook) -> None:
        self._open = open_book

    async def check_1_keys_come_back_letter_by_letter(self) -> None:
        """Under their digests, every field, also after opening again."""
        async with self._open() as book:
            assert await book.by_digest() == {}
            assert await book.keys() == ()
            await book.add(FULL, "d2")
            await book.add(PLAIN, "d1")
            for _ in range(2):
                assert await book.by_digest() == {"d1": PLAIN, "d2": FULL}
                assert await book.keys() == (PLAIN, FULL)
        async with self._open() as book:
            assert await book.by_digest() == {"d1": PLAIN, "d2": FULL}

    async def check_1_the_same_key_again_changes_nothing(self) -> None:
        """It is one answer lost on the way; another key with this secret is refused."""
        async with self._open() as book:
            for _ in range(2):
                await book.add(PLAIN, "d")
            await refused(book.add(replace(PLAIN, name="other"), "d"), ConflictError)
            await refused(book.add(replace(PLAIN, account="회사"), "d"), ConflictError)
            assert await book.keys() == (PLAIN,)

    async def check_1_the_last_use_is_kept(self) -> None:
        """Of that key alone; earlier times change nothing, nor does a key that is not there."""
        async with self._open() as book:
            await book.add(PLAIN, "d1")
            await book.add(replace(PLAIN, name="둘"), "d2")
            for at in (NOON + 60.5, NOON + 1, NOON + 60.4):
                await book.used("d1", at)
            await book.used("d3", NOON)
        async with self._open() as book:
            first, second = await book.keys()
            assert first == replace(PLAIN, last_used_at=NOON + 60.5)
            assert second.last_used_at is None

    async def check_2_a_name_is_taken_until_its_key_is_revoked(self) -> None:
        """Also when it has expired; names differ letter by letter."""
        first = replace(PLAIN, name="빌드", expires_at=NOON + 1)
        second = replace(first, created_at=NOON + 10, account="둘째")
        async with self._open() as book:
            await book.add(first, "d1")
            error = await refused(book.add(second, "d2"), ConflictError)
            assert "빌드" in error.message
            await book.add(replace(PLAIN, name="CI"), "d3")
            await book.add(replace(PLAIN, name="ci"), "d4")
            assert await book.revoke("빌드", NOON + 5)
            await book.add(second, "d2")
            await refused(book.add(replace(second, account="셋째"), "d5"), ConflictError)
            ended = replace(first, revoked_at=NOON + 5)
            assert (await book.keys())[2:] == (ended, second)

    async def check_2_of_many_at_once_one_gets_the_name(self) -> None:
        """The others are refused, here and in another process."""
        async with self._open() as book, self._open() as other:
            answers = await asyncio.gather(
                *(
                    which.add(replace(PLAIN, account=f"{n}"), f"d{n}-{which is other}")
                    for n in range(10)
                    for which in (book, other)
                ),
                return_exceptions=True,
            )
            assert sum(answer is None for answer in answers) == 1
            assert sum(isinstance(answer, ConflictError) for answer in answers) == 19
            (key,) = await other.keys()
            assert key.name == "ci"

    async def check_3_a_revoked_key_stays_and_is_never_live(self) -> None:
        """Revoking once more changes nothing and says so."""
        async with self._open() as book:
            await book.add(PLAIN, "d1")
            assert await book.revoke("ci", NOON + 5) is True
            assert await book.revoke("ci", NOON + 9) is False
            assert await book.revoke("없음", NOON) is False
            await book.used("d1", NOON + 20)
        async with self._open() as book:
            (key,) = await book.keys()
            assert key == replace(PLAIN, revoked_at=NOON + 5, last_used_at=NOON + 20)
            assert not key.live(NOON)

    async def check_3_keys_of_one_name_are_told_by_age(self) -> None:
        """The oldest first, whatever came in first."""
        ages = [replace(PLAIN, created_at=NOON + n, account=f"{n}") for n in (3, 1, 2)]
        async with self._open() as book:
            for n, key in enumerate(ages):
                await book.add(key, f"d{n}")
                assert await book.revoke("ci", NOON + 10)
            assert [key.account for key in await book.keys()] == ["1", "2", "3"]

    async def check_4_all_may_speak_at_once(self) -> None:
        """No key, use, end or batch is lost."""
        keys = [replace(PLAIN, name=f"키-{n}") for n in range(10)]
        batches = [replace(BATCH, request_id=f"{n}", created_at=NOON + n) for n in range(10)]
        async with self._open() as book, self._open() as other:
            await asyncio.gather(
                *((book, other)[n % 2].add(key, f"d{n}") for n, key in enumerate(keys)),
                *(which.note_batch(batch) for batch in batches for which in (book, other)),
            )
            uses = (which.used(f"d{n}", NOON + n) for n in range(10) for which in (book, other))
            ended, _ = await asyncio.gather(
                asyncio.gather(book.revoke("키-3", NOON + 5), other.revoke("키-3", NOON + 5)),
                asyncio.gather(*uses),
            )
            assert sorted(ended) == [False, True]
            expected = [replace(key, last_used_at=NOON + n) for n, key in enumerate(keys)]
            expected[3] = replace(expected[3], revoked_at=NOON + 5)
            assert list(await book.keys()) == expected
            assert await other.open_batches(simulated=False) == tuple(batches)

    async def check_5_a_batch_is_listed_until_it_is_closed(self) -> None:
        """The oldest first, real and simulated apart, also after opening again."""
        odd = replace(BATCH, request_id="요청-0", upstream_id="", created_at=NOON + 0.1 + 0.2)
        oldest = replace(BATCH, request_id="요청-2", created_at=NOON - 1.5)
        played = replace(BATCH, request_id="요청-3", simulated=True)
        async with self._open() as book:
            assert await book.open_batches(simulated=False) == ()
            for batch in (odd, oldest, BATCH, played, BATCH):
                await book.note_batch(batch)
        async with self._open() as book:
            assert await book.open_batches(simulated=False) == (oldest, BATCH, odd)
            assert await book.open_batches(simulated=True) == (played,)
            for _ in range(2):
                await book.close_batch("요청-1", NOON + 9)
            await book.note_batch(BATCH)
        async with self._open() as book:
            assert await book.open_batches(simulated=False) == (oldest, odd)
            assert await book.open_batches(simulated=True) == (played,)

    async def check_6_whose_a_batch_is_can_be_told_for_ever(self) -> None:
        """Open or closed, of those that were noted, real and simulated apart."""
        other = replace(BATCH, request_id="요청-2", upstream_id="배치-2", owner="")
        played = replace(BATCH, request_id="요청-3", owner="놀이", simulated=True)
        names = ("msgbatch_01", "배치-2", "msgbatch_0", "MSGBATCH_01", "")
        async with self._open() as book:
            assert await book.batch_owners(names, simulated=False) == {}
            for batch in (BATCH, other, played):
                await book.note_batch(batch)
            await book.close_batch("요청-1", NOON + 9)
        async with self._open() as book:
            both = {"msgbatch_01": "회사", "배치-2": ""}
            assert await book.batch_owners(names, simulated=False) == both
            assert await book.batch_owners(names, simulated=True) == {"msgbatch_01": "놀이"}
            assert await book.batch_owners(names[1:], simulated=False) == {"배치-2": ""}
            assert await book.batch_owners((), simulated=False) == {}
