"""The address of a Redis: understood here, and never shown with its password."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from helios.errors import UsageError

SCHEMES = ("redis", "rediss", "unix")
_FORMS = "Give redis://host:6379/0, rediss://host:6379/0 (TLS) or unix:///path/to/socket."


@dataclass(frozen=True, slots=True)
class Address:
    """`place` is the server as people know it; `options` are the client's, secrets among them."""

    place: str
    db: int
    options: dict[str, Any] = field(repr=False)


def parse(url: str, ca: str = "") -> Address:
    """An address and the file of the authority that signed the server's certificate.

    Raises:
        UsageError: it cannot be understood, or would not be as safe as it looks.
    """
    try:
        parts = urlsplit(url)
        port, db = parts.port or 6379, _database(parts)
    except ValueError:
        # From nothing: the parser's own words repeat the address, password and all.
        raise UsageError("this is not a Redis address", next_step=_FORMS) from None
    if parts.scheme not in SCHEMES:
        raise UsageError(f"no mirror for an address of kind {parts.scheme!r}", next_step=_FORMS)
    if parts.query or parts.fragment:
        raise UsageError("options in a Redis address are not understood", next_step=_FORMS)
    options: dict[str, Any] = {"db": db, **_user(parts), **_tls(parts.scheme, ca)}
    if parts.scheme == "unix":
        return Address(f"unix://{parts.path}", db, {**options, "unix_socket_path": parts.path})
    host = parts.hostname or "localhost"
    place = f"{parts.scheme}://{host}:{port}/{db}"
    return Address(place, db, {**options, "host": host, "port": port})


def _database(parts: SplitResult) -> int:
    if parts.scheme == "unix":
        return 0
    number = parts.path.strip("/")
    return int(number) if number else 0


def _user(parts: SplitResult) -> dict[str, str]:
    named = {"username": parts.username, "password": parts.password}
    return {key: unquote(value) for key, value in named.items() if value}


def _tls(scheme: str, ca: str) -> dict[str, Any]:
    if scheme != "rediss":
        if ca:
            raise UsageError(
                "a certificate authority is set, but the Redis address asks for no TLS",
                next_step="Write rediss:// in place of redis://, or leave `redis_ca` out.",
            )
        return {}
    if ca and not Path(ca).is_file():
        raise UsageError(
            f"{ca}: there is no such file",
            next_step="Let `redis_ca` name the authority's certificate, a PEM file.",
        )
    safe = {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True}
    return {**safe, "ssl_ca_certs": ca} if ca else safe
