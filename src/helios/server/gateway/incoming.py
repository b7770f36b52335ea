"""What comes in: a request's head and body, bounded in size and in time."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import Receive, Scope

from helios.ports.upstream import Headers
from helios.server.gateway.allowance import UNCOUNTED_BYTES, Share

MOST_BODY_BYTES = 32 * 1024 * 1024
"""The provider's own limit for a Messages request."""
PRIVATE = frozenset(
    {
        b"x-api-key",
        b"authorization",
        b"cookie",
        b"proxy-authorization",
        b"host",
        b"content-length",
        b"accept-encoding",
        b"expect",
        b"connection",
        b"keep-alive",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        b"origin",
        b"referer",
    }
)
"""Headers that concern this connection, its client's machine or its credential alone."""
OURS = b"x-helios-"
_DOUBTFUL = re.compile(r"//|/\.{1,2}(?:/|\Z)|/\Z")


class BodyTooLarge(Exception):
    """More came than is taken."""


class ClientGone(Exception):
    """The client hung up; nobody waits for an answer."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request's head. `headers` are as they came, names in lower case; `first` has the first
    value of each.
    """

    method: str
    path: str
    target: str
    headers: Headers
    first: Mapping[bytes, bytes]

    @classmethod
    def of(cls, scope: Scope) -> "Incoming":
        """The head of an HTTP request."""
        path = scope.get("raw_path") or scope["path"].encode()
        query: bytes = scope["query_string"]
        target = path + b"?" + query if query else path
        headers = tuple((bytes(k).lower(), bytes(v)) for k, v in scope["headers"])
        first = dict(reversed(headers))
        return cls(scope["method"], scope["path"], target.decode("latin-1"), headers, first)

    @property
    def written_path(self) -> str:
        """The path as it goes upstream, nothing decoded."""
        return self.target.partition("?")[0]

    @property
    def is_plain(self) -> bool:
        """Whether nobody can read the path as another one: nothing encoded, no empty part, no dots.

        What is decided here by the path holds upstream only then.
        """
        return self.written_path == self.path and not _DOUBTFUL.search(self.path)

    def header(self, name: bytes) -> str:
        """The first value of a header; "" without one."""
        # White space of HTTP alone: others are parts of characters in UTF-8.
        return self.first.get(name, b"").strip(b" \t").decode("latin-1")

    @property
    def credential(self) -> str:
        """What the client identifies itself by, in either style."""
        scheme, _, token = self.header(b"authorization").partition(" ")
        return self.header(b"x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")

    @property
    def passed_on(self) -> Headers:
        """The headers that go upstream."""
        return tuple(
            (name, value)
            for name, value in self.headers
            if name not in PRIVATE and not name.startswith(OURS)
        )


async def read_body(incoming: Incoming, receive: Receive, share: Share) -> bytes:
    """The whole body. No more of it is read than its share covers, which grows as it comes.

    Raises:
        BodyTooLarge: it has more than 32 MB, or says so.
        ClientGone: the client hung up before its end, or took too long.
        NoRoomLeft: others' bodies left no room for it in time.
    """
    said = incoming.header(b"content-length")
    expected = int(said) if said.isdigit() else 0
    if expected > MOST_BODY_BYTES:
        raise BodyTooLarge
    if expected > UNCOUNTED_BYTES:
        await share.grow(expected)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BODY_BYTES:
            raise BodyTooLarge
        parts.append(part)
        if size > share.covers:
            await share.grow(min(2 * size, MOST_BODY_BYTES))
        if not message.get("more_body", False):
            share.shrink(size)
            return parts[0] if len(parts) == 1 else b"".join(parts)
