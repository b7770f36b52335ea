"""What a driver's error means: whether trying again helps, and what to tell a person."""

import sqlite3
from dataclasses import dataclass
from enum import Enum, auto

from sqlalchemy.exc import DBAPIError, OperationalError

from helios.errors import StoreError


class Cure(Enum):
    """What may help against a fault."""

    WAIT = auto()
    """Another process is writing."""
    REPEAT = auto()
    """Two transactions got in each other's way; one of them starts again."""
    RECONNECT = auto()
    """The server is away."""
    NONE = auto()


@dataclass(frozen=True, slots=True)
class Fault:
    """A driver's error, understood."""

    cure: Cure
    message: str
    next_step: str

    def error(self, place: str) -> StoreError:
        """What to raise; `place` is the database as a person knows it."""
        return StoreError(f"{place}: {self.message}", next_step=self.next_step)


_SEE_BACKUP = "Restore the file from a backup, or name another file; this one was not changed."
_FREE_DISK = "Free disk space and run the same command again; nothing that was stored is lost."
_MAY_WRITE = "Check that the directory exists and that you may write to it."
_START_SERVER = "Start the server or mend the connection, then run the same command again."

_SQLITE = {
    sqlite3.SQLITE_BUSY: Fault(
        Cure.WAIT, "another process keeps writing", "Wait for it or end it, then try again."
    ),
    sqlite3.SQLITE_LOCKED: Fault(
        Cure.WAIT, "another connection keeps writing", "Wait for it or end it, then try again."
    ),
    sqlite3.SQLITE_FULL: Fault(Cure.NONE, "the disk is full", _FREE_DISK),
    sqlite3.SQLITE_IOERR: Fault(
        Cure.NONE, "the disk cannot be read or written", "Check the disk and its free space."
    ),
    sqlite3.SQLITE_CANTOPEN: Fault(Cure.NONE, "cannot be opened", _MAY_WRITE),
    sqlite3.SQLITE_READONLY: Fault(Cure.NONE, "cannot be written to", _MAY_WRITE),
    sqlite3.SQLITE_PERM: Fault(Cure.NONE, "access is not allowed", _MAY_WRITE),
    sqlite3.SQLITE_NOTADB: Fault(Cure.NONE, "is not a database", _SEE_BACKUP),
    sqlite3.SQLITE_CORRUPT: Fault(Cure.NONE, "is damaged", _SEE_BACKUP),
}

_POSTGRES = {
    "40001": Fault(Cure.REPEAT, "transactions keep colliding", "Try again."),
    "40P01": Fault(Cure.REPEAT, "transactions keep locking each other out", "Try again."),
    "23505": Fault(Cure.REPEAT, "the same record exists already", "Use another id."),
    "53100": Fault(Cure.NONE, "the server's disk is full", _FREE_DISK),
    "3D000": Fault(Cure.NONE, "there is no such database", "Create it with `createdb`."),
    "25006": Fault(
        Cure.NONE, "the server is read-only", "Give the address of the primary, not of a standby."
    ),
    "42501": Fault(Cure.NONE, "permission denied", "Grant the user the right to create tables."),
}

_POSTGRES_CLASSES = {
    "08": Fault(Cure.RECONNECT, "the connection is lost", _START_SERVER),
    "28": Fault(Cure.NONE, "the server refuses the user or password", "Check the address."),
    "53": Fault(Cure.RECONNECT, "the server is out of resources", "Raise its limits."),
    "57": Fault(Cure.RECONNECT, "the server is shutting down or starting", _START_SERVER),
}


def understand(error: DBAPIError) -> Fault:
    """What the error means."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        return _SQLITE.get(code) or _unforeseen(cause)
    state = _sqlstate(error)
    if state:
        found = _POSTGRES.get(state) or _POSTGRES_CLASSES.get(state[:2])
        return found or _unforeseen(cause)
    if error.connection_invalidated or isinstance(error, OperationalError):
        return _of_connecting(str(cause))
    return _unforeseen(cause)


def _sqlstate(error: DBAPIError) -> str | None:
    """PostgreSQL's own code; read by name, so that SQLite's users need not load that driver."""
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def _of_connecting(text: str) -> Fault:
    """While connecting there is no SQLSTATE, only the server's words."""
    said = " ".join(text.split())
    if "password authentication failed" in said or "no pg_hba.conf entry" in said:
        return Fault(Cure.NONE, f"the server refuses the user: {said}", "Check the address.")
    if "does not exist" in said:
        return Fault(Cure.NONE, said, "Create it, or check the address.")
    return Fault(Cure.RECONNECT, f"the server does not answer: {said}", _START_SERVER)


def _unforeseen(cause: object) -> Fault:
    said = " ".join(str(cause).split())
    return Fault(Cure.NONE, said, "This is a defect of Helios; please report it.")


def is_missing_table(error: DBAPIError) -> bool:
    """Whether a query failed because its table does not exist."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return "no such table" in str(cause)
    return _sqlstate(error) == "42P01"
