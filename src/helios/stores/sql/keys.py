"""The gateway's keys and batches, on SQL."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Connection, Select, and_, insert, or_, select, update

from helios.domain.gateway.key import GatewayKey, Policy
from helios.errors import ConflictError
from helios.ports.keys import OpenBatch
from helios.stores.sql.database import Database
from helios.stores.sql.schema import gateway_batches, gateway_keys

Row = Mapping[str, Any]
OF_KEYS = "keys/"
"""Below it are the accounts of keys that were made without one."""

_key = gateway_keys.c
_batch = gateway_batches.c

_ALL = select(gateway_keys).order_by(_key.name, _key.created_at, _key.digest)


class SqlKeyBook:
    """`ports.keys.KeyBook` on SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        """Keep the keys in `database`."""
        self._database = database

    async def add(self, key: GatewayKey, digest: str) -> None:
        """Store a key under the digest of its secret; the same key again changes nothing.

        Raises:
            ConflictError: a key of this name is there that is not revoked, or another key has
                this digest.
        """
        await self._database.write(lambda connection: _add(connection, key, digest))

    async def by_digest(self) -> Mapping[str, GatewayKey]:
        """All keys under the digests of their secrets, revoked ones included."""
        return {row["digest"]: _key_from(row) for row in await self._rows(_ALL)}

    async def keys(self) -> tuple[GatewayKey, ...]:
        """All keys, by name and then by age, revoked ones included."""
        return tuple(_key_from(row) for row in await self._rows(_ALL))

    async def revoke(self, name: str, at: float) -> bool:
        """End a key; whether there was one of this name that was not revoked."""
        live = update(gateway_keys).where(_key.name == name, _key.revoked_at.is_(None))
        return await self._database.write(
            lambda connection: connection.execute(live.values(revoked_at=at)).rowcount > 0,
            repeatable=False,
        )

    async def used(self, digest: str, at: float) -> None:
        """Note that a key was used; earlier times than the one noted change nothing."""
        earlier = or_(_key.last_used_at.is_(None), _key.last_used_at < at)
        this = update(gateway_keys).where(_key.digest == digest, earlier)
        await self._database.write(
            lambda connection: connection.execute(this.values(last_used_at=at)).rowcount
        )

    async def note_batch(self, batch: OpenBatch) -> None:
        """Remember a batch; once more changes nothing."""
        await self._database.write(lambda connection: _note(connection, batch))

    async def open_batches(self, *, simulated: bool) -> tuple[OpenBatch, ...]:
        """Those not closed yet, the oldest first."""
        oldest_first = (
            select(*(_batch[field.name] for field in fields(OpenBatch)))
            .where(_batch.simulated == simulated, _batch.ended_at.is_(None))
            .order_by(_batch.created_at, _batch.request_id)
        )
        return tuple(OpenBatch(**row) for row in await self._rows(oldest_first))

    async def close_batch(self, request_id: str, at: float) -> None:
        """Its results are settled, or it is gone; once more changes nothing."""
        its = and_(_batch.request_id == request_id, _batch.ended_at.is_(None))
        this = update(gateway_batches).where(its).values(ended_at=at)
        await self._database.write(lambda connection: connection.execute(this).rowcount)

    async def batch_owners(
        self, upstream_ids: Collection[str], *, simulated: bool
    ) -> Mapping[str, str]:
        """The owners of batches, closed ones included, under the provider's names for them.

        Those that were never noted are left out.
        """
        these = select(_batch.upstream_id, _batch.owner, _batch.account).where(
            _batch.upstream_id.in_(upstream_ids), _batch.simulated == simulated
        )
        return {row["upstream_id"]: _owner(row) for row in await self._rows(these)}

    async def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        def read(connection: Connection) -> list[dict[str, Any]]:
            return [{**row} for row in connection.execute(query).mappings()]

        return await self._database.read(read)


def _add(connection: Connection, key: GatewayKey, digest: str) -> None:
    """Two that add the same name collide on its index; the later one starts again and sees it."""
    row = _key_row(key, digest)
    same_name = and_(_key.name == key.name, _key.revoked_at.is_(None))
    query = select(gateway_keys).where(or_(_key.digest == digest, same_name))
    found = [{**other} for other in connection.execute(query).mappings()]
    if row in found:
        return
    if any(other["digest"] != digest for other in found):
        raise ConflictError(
            f"there is a key {key.name!r} already",
            next_step=f"Name it otherwise, or end that one: helios keys revoke {key.name}",
        )
    if found:
        raise ConflictError("another key has this secret", next_step="Make a key once more.")
    connection.execute(insert(gateway_keys), row)


def _note(connection: Connection, batch: OpenBatch) -> None:
    this = select(_batch.request_id).where(_batch.request_id == batch.request_id)
    if connection.execute(this).first() is None:
        connection.execute(insert(gateway_batches), asdict(batch))


def _owner(row: Row) -> str:
    """Whose a batch is. A process of before 0004 that still runs notes no owner, as of one that
    the root made; below a key's own account there is no doubt.
    """
    unsaid = not row["owner"] and row["account"].startswith(OF_KEYS)
    return str(row["account"] if unsaid else row["owner"])


def _key_row(key: GatewayKey, digest: str) -> dict[str, Any]:
    fields = asdict(key)
    return {**fields, "digest": digest, "models": [*key.models], "policy": key.policy.value}


def _key_from(row: Row) -> GatewayKey:
    fields = {name: row[name] for name in row if name != "digest"}
    return GatewayKey(**{**fields, "models": tuple(row["models"]), "policy": Policy(row["policy"])})
