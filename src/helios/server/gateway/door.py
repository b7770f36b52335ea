"""The door of the gateway, an ASGI application that answers as the Messages API does."""

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from helios.bootstrap.gateway import GatewayDesk
from helios.domain.gateway.refusal import (
    Refusal,
    not_allowed,
    of_error,
    too_large,
)
from helios.errors import HeliosError
from helios.server.capacity import most_body_bytes
from helios.server.gateway.allowance import Allowance, Share
from helios.server.gateway.answers import refuse
from helios.server.gateway.complaints import Complaints
from helios.server.gateway.incoming import (
    MOST_BODY_BYTES,
    BodyTooLarge,
    ClientGone,
    Incoming,
)
from helios.server.gateway.messages import Afterwards
from helios.server.gateway.visit import RefusedError, Visit
from helios.server.hosts import LOOPBACK

NO_UPSTREAM = Refusal(
    503, "api_error", "the gateway has no key: set ANTHROPIC_API_KEY and start Helios anew"
)
DEFECT = Refusal(500, "api_error", "the gateway failed; Helios's log says how")
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
        self._allowance = Allowance(most_body_bytes(), largest=MOST_BODY_BYTES)
        self._complaints = Complaints(desk.clock) if desk else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not _is_for_gateway(scope):
            await self._app(scope, receive, send)
            return
        incoming = Incoming.of(scope)
        if self._desk is None:
            await refuse(send, NO_UPSTREAM, "gw_none")
        elif _from_foreign_page(incoming):
            await self._refuse(send, incoming, FOREIGN_PAGE, "gw_none", "a page on the web")
        else:
            await self._visit(self._desk, incoming, receive, send)

    async def close(self, timeout_s: float) -> None:
        """Finish what clients left behind."""
        await self._afterwards.wait(timeout_s)

    async def _visit(
        self, desk: GatewayDesk, incoming: Incoming, receive: Receive, send: Send
    ) -> None:
        if desk.upstream.simulated:
            send = _simulated(send)
        share = Share(self._allowance)
        visit = Visit(desk, self._afterwards, incoming, send, share)
        try:
            await visit.serve(receive)
        except ClientGone:
            return
        except RefusedError as error:
            await self._refuse(send, incoming, error.refusal, visit.id, error.because)
        except BodyTooLarge:
            await self._refuse(send, incoming, too_large(MOST_BODY_BYTES), visit.id, "too large")
        except HeliosError as error:
            refusal = of_error(error, desk.clock.now())
            # What is wrong with a request is told in its own words, which are nobody's business.
            because = error.message if refusal.status >= 500 else error.code
            await self._refuse(send, incoming, refusal, visit.id, because)
        except Exception as error:
            log.exception("failed", request=visit.id, error=type(error).__name__)
            await refuse(send, DEFECT, visit.id)
        finally:
            share.close()

    async def _refuse(
        self, send: Send, incoming: Incoming, refusal: Refusal, request_id: str, because: str
    ) -> None:
        if self._complaints:
            self._complaints.note(incoming, refusal, request_id, because)
        await refuse(send, refusal, request_id)


def _simulated(send: Send) -> Send:
    """Every answer says that no model gave it."""

    async def said(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"].append((b"x-helios-simulated", b"true"))
        await send(message)

    return said


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
