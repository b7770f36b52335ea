"""Redis for the tests of the mirror: one empty server for all, and servers to be broken."""

from collections.abc import Callable, Iterator

import pytest

from tests.mirrors.redis_server import BINARY, NO_REDIS, RedisServer


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """For tests that leave the server running."""
    if not BINARY:
        pytest.skip(NO_REDIS)
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def redis(shared_redis: RedisServer) -> RedisServer:
    """The shared server, emptied."""
    shared_redis.run("FLUSHALL")
    return shared_redis


@pytest.fixture
def redis_with() -> Iterator[Callable[..., RedisServer]]:
    """Starts servers that a test may break, with options of its own."""
    if not BINARY:
        pytest.skip(NO_REDIS)
    started: list[RedisServer] = []

    def start(*options: str) -> RedisServer:
        started.append(RedisServer(*options))
        started[-1].start()
        return started[-1]

    yield start
    for server in started:
        server.remove()
