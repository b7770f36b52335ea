"""An answer that breaks off: the connection is closed in the middle of it, or before it."""

from collections.abc import AsyncIterator, Callable, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Drop = Callable[[tuple[str, int]], None]
"""Closes the connection with a client, named by its host and port."""


class DroppedResponse(Response):
    """Sends what there is of `part`, then closes the connection."""

    def __init__(
        self,
        drop: Drop,
        part: AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._drop = drop
        self._part = part
        self.status_code = 200
        self.background = None
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, close, and wait until the server has noticed."""
        if self._part is not None:
            status, headers = self.status_code, self.raw_headers
            await send({"type": "http.response.start", "status": status, "headers": headers})
            async for chunk in self._part:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        self._drop(scope["client"])
        while (await receive())["type"] != "http.disconnect":
            pass
