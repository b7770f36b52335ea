"""Redis killed, emptied, old, hanging, full, closed to us: the ledger answers, soon and quietly."""

import asyncio
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pytest
from structlog.testing import capture_logs

from helios.errors import UsageError
from helios.mirrors.address import parse
from helios.mirrors.open import open_mirror
from helios.mirrors.redis_mirror import TIMEOUT_S
from helios.services.mirroring import MAX_AGE_S, StatusMirroring
from helios.services.snapshots import decode
from helios.testing.clock import MovableClock
from tests.mirrors.redis_server import PASSWORD, RedisServer, certificates, free_port
from tests.mirrors.rooms import KEY, Rooms, in_rooms, without_age

pytestmark = pytest.mark.slow
RedisWith = Callable[..., RedisServer]
LONG_ENOUGH_S = 60.0
QUOTED = "%EB%B9%84%EB%B0%80-p%C3%A4ssword%2F%40%3A%3F"
"""The password as an address has it."""


async def only_the_ledger_answers(rooms: Rooms, mirroring: StatusMirroring, reads: int = 20) -> str:
    """Many looks in an outage; the words of the one line that is logged."""
    with capture_logs() as lines:
        for _ in range(reads):
            reading = await mirroring.read()
            assert reading.source == "ledger"
            assert without_age(reading.status) == await rooms.truth()
            await mirroring.rebuild()
            rooms.clock.move(1)
    said = [line for line in lines if "redis" in line]
    assert [line["log_level"] for line in said] == ["warning"], said
    assert PASSWORD not in str(lines)
    assert QUOTED not in str(lines)
    return str(said[0]["why"])


async def comes_back(rooms: Rooms, mirroring: StatusMirroring) -> None:
    """The mirror is like the ledger again, and one line says so."""
    rooms.clock.move(LONG_ENOUGH_S)
    with capture_logs() as lines:
        assert await mirroring.rebuild()
        reading = await mirroring.read()
        assert reading.source == "mirror"
        assert without_age(reading.status) == await rooms.truth()
    assert [line["log_level"] for line in lines if "redis" in line] == ["info"]


def test_killed_and_restarted_empty(redis_with: RedisWith, tmp_path: Path) -> None:
    server = redis_with()

    async def work(rooms: Rooms) -> None:
        mirroring = rooms.mirroring(server.url)
        await rooms.spend("a")
        assert await mirroring.rebuild()
        server.kill()
        assert "nobody listens there" in await only_the_ledger_answers(rooms, mirroring)
        server.start()
        await comes_back(rooms, mirroring)

    in_rooms(tmp_path, work)


def test_a_quick_restart_is_no_outage(redis_with: RedisWith, tmp_path: Path) -> None:
    server = redis_with()

    async def work(rooms: Rooms) -> None:
        mirroring = rooms.mirroring(server.url)
        with capture_logs() as lines:
            assert await mirroring.rebuild()
            server.restart()
            assert (await mirroring.read()).source == "ledger"
            assert await mirroring.rebuild()
            assert (await mirroring.read()).source == "mirror"
        assert not lines

    in_rooms(tmp_path, work)


def test_an_old_dump_comes_back(redis_with: RedisWith, tmp_path: Path) -> None:
    server = redis_with()

    async def work(rooms: Rooms) -> None:
        mirroring = rooms.mirroring(server.url)
        await rooms.spend("a")
        await mirroring.rebuild()
        server.run("SAVE")
        shutil.copy(server.dump, server.folder / "old.rdb")
        rooms.clock.move(MAX_AGE_S + 1)
        await rooms.spend("b")
        await mirroring.rebuild()
        new = decode(bytes(server.run("GET", KEY)))  # type: ignore[arg-type]
        server.kill()
        shutil.copy(server.folder / "old.rdb", server.dump)
        server.start()
        old = decode(bytes(server.run("GET", KEY)))  # type: ignore[arg-type]
        assert old is not None
        assert new is not None
        assert old.version < new.version
        assert (await mirroring.read()).source == "ledger"
        assert await mirroring.rebuild()
        assert without_age((await mirroring.read()).status) == await rooms.truth()
        stands = decode(bytes(server.run("GET", KEY)))  # type: ignore[arg-type]
        assert stands is not None
        assert stands.version > new.version

    in_rooms(tmp_path, work)


def test_hanging(redis_with: RedisWith, tmp_path: Path) -> None:
    server = redis_with()

    async def work(rooms: Rooms) -> None:
        mirroring = rooms.mirroring(server.url)
        await rooms.spend("a")
        await mirroring.rebuild()
        with server.hanging():
            began = perf_counter()
            with capture_logs() as lines:
                assert await asyncio.gather(*(mirroring.read() for _ in range(50)))
                assert (await mirroring.read()).source == "ledger"
            assert perf_counter() - began < 50 * TIMEOUT_S / 2, "they waited one after the other"
            assert [line["why"] for line in lines] == ["it does not answer in time"]
            rooms.clock.move(LONG_ENOUGH_S)
            assert not await mirroring.rebuild()
        # What was asked for while it hung is answered now, to nobody.
        await rooms.spend("b")
        await comes_back(rooms, mirroring)

    in_rooms(tmp_path, work)


def test_full(redis_with: RedisWith, tmp_path: Path) -> None:
    server = redis_with()

    async def work(rooms: Rooms) -> None:
        mirroring = rooms.mirroring(server.url)
        await mirroring.rebuild()
        server.run("CONFIG", "SET", "maxmemory", "1")
        await rooms.spend("a")
        with capture_logs() as lines:
            for _ in range(8):
                assert not await mirroring.rebuild()
                rooms.clock.move(MAX_AGE_S)
                await mirroring.read()
        assert (await mirroring.read()).source == "ledger"
        assert [line["why"] for line in lines] == ["its memory is full"]
        server.run("CONFIG", "SET", "maxmemory", "0")
        await comes_back(rooms, mirroring)

    in_rooms(tmp_path, work)


@pytest.mark.parametrize("user", ["", ":wrong@", "nobody:비밀@"])
def test_a_wrong_password(redis_with: RedisWith, tmp_path: Path, user: str) -> None:
    server = redis_with("--requirepass", PASSWORD)

    async def work(rooms: Rooms) -> None:
        with capture_logs() as lines:
            right = rooms.mirroring(f"unix://:{QUOTED}@{server.socket}")
            assert await right.rebuild()
            assert (await right.read()).source == "mirror"
        assert not lines
        mirroring = rooms.mirroring(f"unix://{user}{server.socket}")
        said = await only_the_ledger_answers(rooms, mirroring)
        assert said == "it refuses the user or password"

    in_rooms(tmp_path, work)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("certificates"))


def with_tls(redis_with: RedisWith, authority: Path) -> str:
    port, own = free_port(), authority.with_name("server")
    redis_with(
        *("--tls-port", str(port), "--tls-auth-clients", "no", "--requirepass", PASSWORD),
        *("--tls-cert-file", f"{own}.pem", "--tls-key-file", f"{own}.key"),
    )
    return f"://:{QUOTED}@127.0.0.1:{port}/1"


def test_tls(redis_with: RedisWith, authority: Path, tmp_path: Path) -> None:
    rest = with_tls(redis_with, authority)
    elsewhere = rest.replace("127.0.0.1", "localhost")

    async def work(rooms: Rooms) -> None:
        mirroring = rooms.mirroring(rooms.mirror(f"rediss{rest}", str(authority)))
        assert await mirroring.rebuild()
        assert (await mirroring.read()).source == "mirror"
        for mirror in (
            rooms.mirror(f"rediss{rest}"),
            rooms.mirror(f"rediss{elsewhere}", str(authority)),
        ):
            said = await only_the_ledger_answers(rooms, rooms.mirroring(mirror), 3)
            assert said == "its certificate is not trusted"
        await only_the_ledger_answers(rooms, rooms.mirroring(f"redis{rest}"), 3)

    in_rooms(tmp_path, work)


def test_tls_is_asked_for_and_the_server_has_none(
    redis_with: RedisWith, authority: Path, tmp_path: Path
) -> None:
    port = free_port()
    redis_with("--port", str(port))

    async def work(rooms: Rooms) -> None:
        mirror = rooms.mirror(f"rediss://127.0.0.1:{port}", str(authority))
        await only_the_ledger_answers(rooms, rooms.mirroring(mirror), 3)

    in_rooms(tmp_path, work)


@pytest.mark.parametrize(
    ("url", "ca"),
    [
        (f"redis://:{QUOTED}@host:port/0", ""),
        (f"redis://:{QUOTED}@host:99999/0", ""),
        (f"redis://:{QUOTED}@[::1/0", ""),
        (f"redis://:{QUOTED}@host/zero", ""),
        (f"http://:{QUOTED}@host/0", ""),
        (f"rediss://:{QUOTED}@host/0?ssl_cert_reqs=none", ""),
        (f"redis://:{QUOTED}@host/0", "ca.pem"),
        (f"rediss://:{QUOTED}@host/0", "no-such-file.pem"),
        (QUOTED, ""),
    ],
)
def test_a_wrong_address_is_refused_without_its_password(url: str, ca: str) -> None:
    with pytest.raises(UsageError) as refused:
        open_mirror(url, ca, MovableClock())
    error = refused.value
    assert error.next_step
    assert error.__suppress_context__ or error.__context__ is None
    for secret in (QUOTED, PASSWORD):
        assert secret not in f"{error.message} {error.next_step}"


def test_a_missing_driver_tells_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "helios.mirrors.redis_mirror")
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(UsageError) as refused:
        open_mirror("redis://localhost", "", MovableClock())
    assert "pip install 'helios-runner[redis]'" in refused.value.next_step


def test_an_address_is_shown_without_its_password() -> None:
    address = parse(f"redis://지수:{QUOTED}@example.org/3")
    assert address.options["password"] == PASSWORD
    assert address.options["username"] == "지수"
    assert address.place == "redis://example.org:6379/3"
    mirror = open_mirror(f"redis://:{QUOTED}@example.org", "", MovableClock())
    for shown in (repr(address), repr(mirror), str(vars(mirror))):
        assert PASSWORD not in shown


def test_a_name_that_is_no_name_is_an_outage(tmp_path: Path) -> None:
    async def work(rooms: Rooms) -> None:
        await only_the_ledger_answers(rooms, rooms.mirroring("redis://a..b:1"), 3)

    in_rooms(tmp_path, work)
