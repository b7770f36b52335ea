"""How values travel to the database where the plain types would fail."""

import json
from typing import Any

from sqlalchemy import Dialect, Text, TypeDecorator

_NUL_SHOWN = "\u2400"
_PLAIN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Words(TypeDecorator[str]):
    """Text that may come from anywhere, a program's output for one.

    PostgreSQL refuses NUL and no database takes half a surrogate pair; both are replaced by a
    visible sign rather than losing the record.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """What is stored."""
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """The text as `Words` stores it, for statements run past SQLAlchemy."""
    return text.replace("\0", _NUL_SHOWN).encode(errors="replace").decode()


def to_json(value: Any) -> str:
    """JSON that people can read in the database; escaped only where UTF-8 cannot carry it."""
    plain = _PLAIN.encode(value)
    try:
        plain.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return plain
