"""Mirrors by address."""

from helios.errors import UsageError
from helios.mirrors.address import parse
from helios.ports.clock import Clock
from helios.ports.mirror import StatusMirror


def open_mirror(url: str, ca: str, clock: Clock) -> StatusMirror:
    """A mirror at an address; nothing is connected to yet, and nothing fails if nobody is there.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`.
        ca: the file of the authority that signed the server's certificate; empty means those
            this machine trusts.
        clock: dates tries and pauses.

    Raises:
        UsageError: the address cannot be understood, would not be as safe as it looks, or the
            driver is not installed.
    """
    address = parse(url, ca)
    try:
        from helios.mirrors.redis_mirror import RedisMirror  # here: who has no Redis starts sooner
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("redis"):
            raise
        raise UsageError(
            "a Redis is set, and the package that talks to it is not installed",
            next_step="Run pip install 'helios-runner[redis]', or leave the setting `redis` out.",
        ) from error
    return RedisMirror(address, clock)
