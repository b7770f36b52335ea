"""One request and its whole answer, for what is small and looked into before it is passed on."""

import json
from dataclasses import dataclass

from helios.ports.upstream import Headers, UpstreamReply


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole answer of the upstream."""

    status: int
    headers: Headers
    body: bytes

    def text(self, name: str) -> str:
        """A text in the JSON object of the body; "" where there is none."""
        try:
            told = json.loads(self.body).get(name)
        except (ValueError, AttributeError, RecursionError):
            return ""
        return told if isinstance(told, str) else ""


async def read_whole(reply: UpstreamReply) -> Answered:
    """All of an answer, which is closed then.

    Raises:
        ModelError: it broke off.
    """
    try:
        parts = [chunk async for chunk in reply.chunks()]
    finally:
        await reply.close()
    return Answered(reply.status, reply.headers, b"".join(parts))
