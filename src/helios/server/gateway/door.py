"""The door of the gateway, an ASGI application that answers as the Messages API does."""

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from helios.bootstrap.gateway import GatewayDesk
from helios.domain.gateway.refusal import (
    Refusal,
    bad_request,
    not_allowed,
    of_error,
    too_large,
)
from helios.errors import HeliosError
from helios.server.gateway.answers import refuse
from helios.server.gateway.incoming import (
    MOST_BODY_BYTES,
    BodyTooLarge,
    BodyTooSlow,
    ClientGone,
    Incoming,
)
from helios.server.gateway.messages import Afterwards
from helios.server.gateway.visit import RefusedError, Visit
from helios.server.hosts import LOOPBACK

NO_UPSTREAM = Refusal(
    503, "api_error", "the gateway has no key: set ANTHROPIC_API_KEY and start Helios anew"
)
FOREIGN_PAGE = not_allowed("pages on the web may not call through this gateway")
log = structlog.get_logger("helios.gateway")


class Gateway:
    """Answers what clients of the provider ask, and lets all else through to `app`.

    Args:
        app: what answers other paths.
        desk: the services behind the door; None when there is no upstream.
    """

    def __init__(self, app: ASGIApp, desk: GatewayDesk | None) -> None:
        self._app = app
        self._desk = desk
        self._afterwards = Afterwards()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not _is_for_gateway(scope):
            await self._app(scope, receive, send)
            return
        incoming = Incoming.of(scope)
        if self._desk is None:
            await refuse(send, NO_UPSTREAM, "gw_none")
        elif _from_foreign_page(incoming):
            await refuse(send, FOREIGN_PAGE, "gw_none")
        else:
            await self._visit(self._desk, incoming, receive, send)

    async def close(self, timeout_s: float) -> None:
        """Finish what clients left behind."""
        await self._afterwards.wait(timeout_s)

    async def _visit(
        self, desk: GatewayDesk, incoming: Incoming, receive: Receive, send: Send
    ) -> None:
        visit = Visit(desk, self._afterwards, incoming, send)
        try:
            await visit.serve(receive)
        except ClientGone:
            return
        except RefusedError as error:
            await refuse(send, error.refusal, visit.id)
        except BodyTooLarge:
            await refuse(send, too_large(MOST_BODY_BYTES), visit.id)
        except BodyTooSlow:
            await refuse(send, bad_request("the body did not come in time"), visit.id)
        except HeliosError as error:
            log.warning("refused", request=visit.id, code=error.code, error=error.message)
            await refuse(send, of_error(error, desk.clock.now()), visit.id)


def _is_for_gateway(scope: Scope) -> bool:
    path: str = scope["path"]
    return (
        path.startswith("/v1/")
        or path == "/api/hello"
        or (path == "/" and scope["method"] == "HEAD")
    )


def _from_foreign_page(incoming: Incoming) -> bool:
    """Whether a page on the web makes its visitor's browser call: it would spend their budget."""
    origin = incoming.header(b"origin")
    if not origin:
        return incoming.header(b"sec-fetch-site") == "cross-site"
    host = origin.partition("://")[2].lower()
    return (host if host.endswith("]") else host.rpartition(":")[0] or host) not in LOOPBACK
