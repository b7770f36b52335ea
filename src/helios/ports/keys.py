"""The keys of the gateway, and the batches that were sent through it.

Promises every implementation keeps (the conformance suite numbers its tests after them):

 1 a key is found by the digest of its secret alone, and read back letter by letter
 2 names are unique among keys that are not revoked; the second of two is refused
 3 a revoked key stays in the list and is never live again
 4 callers at the same moment lose nothing
 5 a batch that was noted is listed until it is closed, also after opening the store again
 6 whose a batch is can be told for ever, also when it is closed
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from helios.domain.gateway.key import GatewayKey


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch whose results are not settled. `request_id` is its entry in the ledger; `upstream_id`
    is the provider's name for it; `owner` is the account of the key that made it, `account` whose
    budget it counts against, the owner's or one below; times are UTC seconds.
    """

    request_id: str
    upstream_id: str
    owner: str
    account: str
    project: str
    simulated: bool
    created_at: float


class KeyBook(Protocol):
    """What the gateway remembers."""

    async def add(self, key: GatewayKey, digest: str) -> None:
        """Store a key under the digest of its secret; the same key again changes nothing.

        Raises:
            ConflictError: a key of this name is there that is not revoked, or another key has
                this digest.
        """
        ...

    async def by_digest(self) -> Mapping[str, GatewayKey]:
        """All keys under the digests of their secrets, revoked ones included."""
        ...

    async def keys(self) -> tuple[GatewayKey, ...]:
        """All keys, by name and then by age, revoked ones included."""
        ...

    async def revoke(self, name: str, at: float) -> bool:
        """End a key; whether there was one of this name that was not revoked."""
        ...

    async def used(self, digest: str, at: float) -> None:
        """Note that a key was used; earlier times than the one noted change nothing."""
        ...

    async def note_batch(self, batch: OpenBatch) -> None:
        """Remember a batch; once more changes nothing."""
        ...

    async def open_batches(self, *, simulated: bool) -> tuple[OpenBatch, ...]:
        """Those not closed yet, the oldest first."""
        ...

    async def close_batch(self, request_id: str, at: float) -> None:
        """Its results are settled, or it is gone; once more changes nothing."""
        ...

    async def batch_owners(
        self, upstream_ids: Collection[str], *, simulated: bool
    ) -> Mapping[str, str]:
        """The owners of batches, closed ones included, under the provider's names for them.

        Those that were never noted are left out.
        """
        ...
