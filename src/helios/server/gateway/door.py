"""The door of the gateway, an ASGI application that answers as the Messages API does."""

import asyncio
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from helios.bootstrap.gateway import GatewayDesk
from helios.bootstrap.providers import GATEWAY_CLOSED
from helios.domain.gateway.refusal import (
    Refusal,
    not_allowed,
    of_error,
    too_large,
)
from helios.errors import HeliosError, StoreError
from helios.ports.ledger import Ledger
from helios.server.capacity import most_body_bytes
from helios.server.gateway.allowance import Allowance, Share
from helios.server.gateway.answers import refuse
from helios.server.gateway.complaints import Complaints
from helios.server.gateway.farewell import STOPPING, Told
from helios.server.gateway.incoming import (
    MOST_BODY_BYTES,
    BodyTooLarge,
    ClientGone,
    Incoming,
)
from helios.server.gateway.messages import Afterwards
from helios.server.gateway.visit import RefusedError, Visit
from helios.server.hosts import LOOPBACK
from helios.server.problems import stopping

NO_UPSTREAM = Refusal(503, "api_error", GATEWAY_CLOSED)
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
        self._open: dict[asyncio.Task[Any], tuple[str, str]] = {}
        """Id and path of each request under way; those of the app have none."""
        self._stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not _is_for_gateway(scope):
            await self._let_through(scope, receive, send)
            return
        incoming = Incoming.of(scope)
        if self._desk is None:
            await refuse(send, NO_UPSTREAM, "gw_none")
        elif _from_foreign_page(incoming):
            await self._refuse(send, incoming, FOREIGN_PAGE, "gw_none", "a page on the web")
        else:
            await self._visit(self._desk, incoming, receive, send)

    @property
    def owes(self) -> bool:
        """Whether bills are still being paid."""
        return self._afterwards.busy

    def stop(self) -> None:
        """Admit nobody any more: who still waits for that is told to come back."""
        self._stopping = True
        for task, (request_id, path) in self._open.items():
            if path == "/v1/messages" and request_id not in self._afterwards.unpaid:
                task.cancel()

    def cut(self) -> None:
        """End every answer, its client being told."""
        for task in self._open:
            task.cancel()

    async def close(self, timeout_s: float, *, books_s: float) -> None:
        """End what is open and close its books; what cannot be known in time is charged its bound.

        Args:
            timeout_s: how long what is open may take to end, and the books at least.
            books_s: when the books must be closed, from now on.

        Raises:
            StoreError: the books cannot be reached; what is open is charged when its lease ends.
        """
        now = asyncio.get_running_loop().time
        until = now() + books_s
        self.cut()
        if self._open:
            await asyncio.wait(self._open, timeout=timeout_s)
        await self._afterwards.wait(timeout_s)
        if self._desk:
            try:
                async with asyncio.timeout_at(max(until, now() + timeout_s)):
                    for request_id in self._afterwards.unpaid:
                        await self._close_books(self._desk.ledger, request_id)
            except (StoreError, TimeoutError) as error:
                raise self._left_open(error) from error

    def _left_open(self, error: Exception) -> StoreError:
        ids = sorted(self._afterwards.unpaid)
        why = error.message if isinstance(error, StoreError) else "it does not answer in time"
        log.error("left open; charged when its lease ends", requests=ids, because=why)
        return StoreError(
            f"ended without the database: {why}; requests whose books are left open: {len(ids)}",
            next_step="Start Helios again once it answers: they are charged when their leases end.",
        )

    async def _close_books(self, ledger: Ledger, request_id: str) -> None:
        entry = await ledger.entry(request_id)
        if entry and not entry.state.final:
            await ledger.charge_unknown(request_id)
            log.warning("charged its estimate", request=request_id, because="Helios was stopped")

    async def _let_through(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request for the app."""
        told = Told(send)
        task = _this_task()
        self._open[task] = ("", "")
        try:
            await self._app(scope, receive, told)
        except asyncio.CancelledError:
            if told.begun:
                raise
            await stopping()(scope, receive, send)
        finally:
            del self._open[task]

    async def _visit(
        self, desk: GatewayDesk, incoming: Incoming, receive: Receive, send: Send
    ) -> None:
        told = Told(_simulated(send) if desk.upstream.simulated else send)
        share = Share(self._allowance)
        visit = Visit(desk, self._afterwards, incoming, told, share)
        task = _this_task()
        self._open[task] = (visit.id, incoming.path)
        try:
            if self._stopping:
                await refuse(told, STOPPING, visit.id)
            else:
                await self._serve(visit, desk, incoming, receive, told)
        except asyncio.CancelledError:
            # Who leaves ends nothing but the visit: this is the server's end.
            if not await told.break_off(visit.id):
                raise
        finally:
            del self._open[task]
            share.close()

    async def _serve(
        self, visit: Visit, desk: GatewayDesk, incoming: Incoming, receive: Receive, send: Send
    ) -> None:
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

    async def _refuse(
        self, send: Send, incoming: Incoming, refusal: Refusal, request_id: str, because: str
    ) -> None:
        if self._complaints:
            self._complaints.note(incoming, refusal, request_id, because)
        await refuse(send, refusal, request_id)


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task
    return task


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
