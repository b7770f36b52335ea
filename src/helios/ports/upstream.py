"""Where the gateway sends requests to, as they are: bytes in, bytes out."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

Headers = tuple[tuple[bytes, bytes], ...]
"""Names in lower case and values, in their order, repeated ones repeated."""


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A request without credentials and without headers that concern one connection only.

    `target` is path and query as the client wrote them. `timeout_s` is how long the upstream may
    be silent, in seconds. `lane` is what a rate limit of the upstream's holds together: the model,
    or for what costs nothing its path.
    """

    method: str
    target: str
    headers: Headers
    body: bytes = b""
    timeout_s: float = 600.0
    lane: str = ""


class UpstreamReply(Protocol):
    """An answer whose head has come; its body comes as it is sent.

    Whoever has one must `close` it, also after an error or a cancellation.
    """

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Headers:
        """Without those that concern one connection only; the length stays where it is true."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, each piece as soon as it is there, not compressed.

        Raises:
            ModelError: the connection broke or fell silent; `billed` is "unknown".
        """
        ...

    async def close(self) -> None:
        """Give the connection back, or end it when the body was not read to its end."""
        ...


class Upstream(Protocol):
    """One endpoint with its credential."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def simulated(self) -> bool:
        """Whether the answers come from the simulator instead of a model."""
        ...

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send a request once, and wait for the head of its answer, whatever its status.

        Raises:
            ModelError: there was none; `billed` is "no" only where nothing can have arrived.
        """
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
