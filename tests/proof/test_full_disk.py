"""A disk without room: it is said, nothing is lost, and it goes on once there is room again."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helios.domain.budget.ledger import Entry
from helios.domain.budget.units import Unit
from helios.errors import StoreError
from helios.stores.sql.database import open_database
from helios.stores.sql.ledger import SqlLedger
from tests.proof.books import BooksCheck
from tests.proof.children import room, wish

CAP = 1_000_000
MEBIBYTE = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two mebibytes."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "helios-test", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(ballast: Path) -> Path:
    """Leave no byte free; the file that takes them."""
    with ballast.open("wb", buffering=0) as file:
        size = MEBIBYTE
        while size:
            try:
                file.write(b"\0" * size)
            except OSError:
                size //= 2
    return ballast


@pytest.mark.slow
def test_a_full_disk_loses_and_doubles_nothing(
    small_disk: Path, books_check: Callable[[str], BooksCheck]
) -> None:
    url = f"sqlite:///{small_disk}/장부.db"

    async def work() -> None:
        database = open_database(url)
        ledger, limits = SqlLedger(database), room(0, CAP)
        used = {Unit.TOKENS: 7, Unit.MESSAGES: 1}
        sent = (await ledger.reserve(wish("보냄", 10), limits)).entry
        assert sent is not None
        await ledger.mark_sent("보냄", sent.fence)
        ballast = await asyncio.to_thread(fill, small_disk / "ballast")

        granted, failed = await reserve_until_full(ledger)
        assert failed, "the disk never filled up"
        for error in failed.values():
            assert "disk" in error.message
            assert "space" in error.next_step
        rest = await asyncio.to_thread(fill, small_disk / "rest")
        with pytest.raises(StoreError, match="disk"):
            await ledger.settle("보냄", sent.fence, used)
        (tokens, _) = await ledger.balances(limits)
        assert (tokens.spent, tokens.held) == (0, 10 + 10 * len(granted))

        ballast.unlink()
        rest.unlink()
        for name in (*granted, *failed):
            again = await ledger.reserve(wish(name, 10), limits)
            assert again.entry is not None
            assert again.entry == granted.get(name, again.entry)
        await ledger.settle("보냄", sent.fence, used)
        (tokens, _) = await ledger.balances(limits)
        assert (tokens.spent, tokens.held) == (7, 10 * (len(granted) + len(failed)))
        await database.close()

    async def reserve_until_full(
        ledger: SqlLedger,
    ) -> tuple[dict[str, Entry | None], dict[str, StoreError]]:
        """What was granted, and what failed."""
        granted: dict[str, Entry | None] = {}
        failed: dict[str, StoreError] = {}
        for turn in range(500):
            names = [f"요청-{turn}-{n}" for n in range(8)]
            asked = (ledger.reserve(wish(name, 10), room(0, CAP)) for name in names)
            answers = await asyncio.gather(*asked, return_exceptions=True)
            for name, answer in zip(names, answers, strict=True):
                if isinstance(answer, StoreError):
                    failed[name] = answer
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    granted[name] = answer.entry
            if failed:
                break
        return granted, failed

    asyncio.run(work())
    books_check(url).check()
