"""The mirror of the budget's status, where one is set."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from helios.bootstrap.house import House
from helios.mirrors.open import open_mirror
from helios.services.mirroring import StatusMirroring, scope_of


@asynccontextmanager
async def mirrored(house: House) -> AsyncIterator[StatusMirroring | None]:
    """Keep the mirror like the ledger while the block runs; None without the setting `redis`.

    A Redis that is away is waited for in the background and hinders nobody.

    Raises:
        UsageError: the setting cannot be understood.
    """
    if not house.settings.redis:
        yield None
        return
    # A desk of its own: who admits calls must not see rules sooner for being watched.
    governor = (await house.desk()).governor
    mirror = open_mirror(house.settings.redis, house.settings.redis_ca, house.clock)
    scope = scope_of(governor.ceilings.plan.name, house.stores.url)
    mirroring = StatusMirroring(governor, mirror, house.clock, scope)
    try:
        async with mirroring.kept():
            yield mirroring
    finally:
        await mirror.close()
