"""The schema's history. Opening a database brings it up to date; nobody needs a command."""

from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from helios.errors import StoreError
from helios.stores.sql.engines import begin
from helios.stores.sql.faults import is_missing_table

HEAD = "0005"
"""The newest version; alembic is loaded only for a database that is not at it."""

VERSION_TABLE = "helios_version"

_LOCK = 0x48454C494F53
"""Any number that is always the same: who migrates holds the server's lock of this number."""


def bring_up_to_date(engine: Engine, place: str) -> None:
    """Apply what is missing, in one transaction and one process at a time.

    Args:
        engine: connects to the database.
        place: the database as a person knows it, for messages.

    Raises:
        StoreError: the database is newer than this program.
    """
    with engine.connect() as connection:
        with begin(connection):
            found = version(connection)
        if found == HEAD:
            return
        with begin(connection, to_write=True):
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            migrate(connection, HEAD, place)


def version(connection: Connection) -> str | None:
    """The version a database is at, read in the open transaction; None when it is new."""
    query = text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a constant
    try:
        with connection.begin_nested():
            found = connection.execute(query).scalar()
    except DBAPIError as error:
        if is_missing_table(error):
            return None
        raise
    return None if found is None else str(found)


def migrate(connection: Connection, to: str, place: str) -> None:
    """Go up or down to a version ("base" is before the first), in the open transaction.

    Raises:
        StoreError: the database is at a version this program does not know.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    steps = [step.revision for step in ScriptDirectory.from_config(config).walk_revisions()]
    newest_first = [*steps, None]
    found = version(connection)
    if found not in newest_first:
        raise StoreError(
            f"{place}: version {found} of the tables is newer than this program, "
            f"which knows {HEAD}",
            next_step="Install the newest Helios, or restore a backup from before the upgrade.",
        )
    target = None if to == "base" else to
    goes_down = newest_first.index(target) > newest_first.index(found)
    (command.downgrade if goes_down else command.upgrade)(config, to)
