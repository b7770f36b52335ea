"""Stores by address."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

from helios.errors import UsageError
from helios.ports.audit import Auditor
from helios.ports.budget import BudgetBook
from helios.ports.clock import Clock
from helios.ports.events import EventSink
from helios.ports.keys import KeyBook
from helios.ports.ledger import Ledger
from helios.ports.locks import ProjectLocks
from helios.ports.runs import RunStore
from helios.stores.file_locks import FileLocks
from helios.stores.sql.budget_book import SqlBudgetBook
from helios.stores.sql.database import Database, open_database
from helios.stores.sql.keys import SqlKeyBook
from helios.stores.sql.ledger import SqlLedger
from helios.stores.sql.runs import SqlRunStore
from helios.stores.sql.session_locks import SessionLocks
from helios.stores.sql.verify import SqlAuditor

ENTRY_POINTS = "helios.stores"
"""Other packages add a scheme by an entry point of this group: its name is the scheme, its object
a function like `open_stores`."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything a database offers; `url` is its address without the password."""

    ledger: Ledger
    runs: RunStore
    budget: BudgetBook
    keys: KeyBook
    auditor: Auditor
    locks: ProjectLocks
    url: str
    shut: Callable[[], Awaitable[None]]

    async def close(self) -> None:
        """Finish what was asked for and let go of the database."""
        await self.shut()


def open_stores(
    url: str, clock: Clock, sink: EventSink | None = None, *, database_time: bool = False
) -> Stores:
    """Open a database by its address and bring its tables up to date.

    Args:
        url: `sqlite:///path`, `postgresql://user@host/name`, or a scheme somebody else added.
        clock: dates the record, and the ledger too unless `database_time`.
        sink: hears of every event of a run once it is committed.
        database_time: let the database's clock measure leases and windows, so that machines
            whose clocks differ agree.

    Raises:
        UsageError: there is no store for this scheme.
        StoreError: the database cannot be used, or is newer than this program.
    """
    scheme = url.partition(":")[0].partition("+")[0]
    if scheme in ("sqlite", "postgresql"):
        database = open_database(url)
        return Stores(
            ledger=SqlLedger(database, None if database_time else clock),
            runs=SqlRunStore(database, clock, sink),
            budget=SqlBudgetBook(database),
            keys=SqlKeyBook(database),
            auditor=SqlAuditor(database),
            locks=_locks(database),
            url=database.url,
            shut=database.close,
        )
    added = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if scheme not in added:
        others = "".join(f" or {name}:..." for name in sorted(added))
        raise UsageError(
            f"no store for a database address that starts with {scheme!r}",
            next_step=f"Give sqlite:///path/to/file or postgresql://user@host/name{others}.",
        )
    open_added: Callable[..., Stores] = added[scheme].load()
    return open_added(url, clock, sink, database_time=database_time)


def _locks(database: Database) -> ProjectLocks:
    """Held where the database is, because several homes may use it."""
    if database.file is None:
        return SessionLocks(database)
    return FileLocks(database.file.with_name(f"{database.file.name}.locks"))
