"""How much a caller may send."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from helios.server.problems import body_too_large, problem_response

MOST_BYTES = 1_000_000


class BoundedBodies:
    """Refuses a body that says it is too large, and stops reading one that does not say so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] == "GET":
            await self._app(scope, receive, send)
            return
        if _said(scope) > MOST_BYTES:
            await problem_response(body_too_large())(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MOST_BYTES:
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)


def _said(scope: Scope) -> int:
    value = next((value for key, value in scope["headers"] if key == b"content-length"), b"")
    return int(value) if value.isdigit() else 0
