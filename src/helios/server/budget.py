"""The endpoints of the budget."""

import secrets
from typing import Annotated

import structlog
from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from helios.bootstrap.house import Desk
from helios.domain.budget.spend import SpendTotal
from helios.domain.budget.throttle import Throttle
from helios.domain.budget.window import NEVER
from helios.domain.pricing import MICRO
from helios.domain.usage import Usage
from helios.server.board import Board
from helios.server.bodies import (
    AllocationBody,
    HistoryQuery,
    ReleaseBody,
    SummaryQuery,
    ThrottleBody,
    UsageBody,
)
from helios.server.fields import Key
from helios.server.leaving import unless_gone
from helios.server.problems import wrong_field
from helios.server.tags import answer_tagged
from helios.server.views import (
    AllocationView,
    HealthView,
    HistoryView,
    MetricsView,
    PastWindow,
    ReleaseView,
    StatusView,
    SummaryView,
    SumView,
    ThrottleView,
    TokensView,
    UsageView,
)
from helios.services.allocations import Report, Wish

JSON = "application/json"
DAY_S = 86_400.0

IdempotencyKey = Annotated[
    Key | None, Header(alias="Idempotency-Key", description="The same as `request_id`.")
]

log = structlog.get_logger("helios.budget")


class BudgetFace:
    """Answers for one desk. Methods are endpoints; their docstrings are the reference's."""

    def __init__(self, desk: Desk, board: Board) -> None:
        self._desk = desk
        self._board = board
        self._book = desk.house.stores.budget
        self._clock = desk.house.clock
        # Requests of HTTP callers never meet those of runs, nor simulated ones real ones.
        self._prefix = "api/simulated/" if desk.simulated else "api/"

    async def status(self) -> Response:
        """How full the windows are. At most 0.1 s old; `age_s` says how old."""
        return Response(await self._board.status_page(), media_type=JSON)

    async def metrics(self) -> Response:
        """The figures of the plan's first window."""
        return Response(await self._board.metrics_page(), media_type=JSON)

    async def health(self) -> HealthView:
        """The light: green, yellow or red, and the limit that decides it."""
        status, age_s = await self._board.status()
        fullest = max(status.gauges, key=lambda gauge: gauge.used)
        reason = f"{fullest.label}: {fullest.used:.0%} used"
        return HealthView(
            **self._board.told(status, age_s).model_dump(),
            status="ok",
            health=fullest.health,
            zone=status.zone,
            reason=f"{reason}; set to {status.brake.level} by hand" if status.brake else reason,
        )

    async def request(
        self, request: Request, body: AllocationBody, key: IdempotencyKey = None
    ) -> AllocationView:
        """Ask for budget before a call. A refusal is an answer too, with `allocated` false.

        What is allocated counts as sent: report it (`record-usage`) or give it back (`release`),
        or it is charged in full when its lease ends. Asking again with the same `request_id` or
        `Idempotency-Key` books nothing twice.
        """
        name = _one_name(body.request_id, key) or f"r-{secrets.token_hex(8)}"
        wish = Wish(
            request_id=self._prefix + name,
            priority=body.priority,
            messages=body.estimated_messages,
            preferred_model=body.preferred_model,
            requires_strong=body.requires_opus,
            input_tokens=body.input_tokens,
            output_tokens=body.max_tokens,
            account=body.account,
        )
        await self._board.reach_store()
        work = self._desk.allocator.request(wish, wait_s=body.wait_s)
        answer = await (unless_gone(request, work) if body.wait_s else work)
        self._board.forget()
        log.info(
            "allocated" if answer.allocated else "refused",
            request=name,
            project=body.project_id,
            task=body.task_id,
            agent=body.agent_type,
            model=answer.model,
            reason=answer.reason,
        )
        return AllocationView.of(answer, name, simulated=self._desk.simulated)

    async def release(self, body: ReleaseBody) -> ReleaseView:
        """Give back an allocation whose call was not made."""
        await self._board.reach_store()
        entry = await self._desk.allocator.release(self._prefix + body.request_id, body.fence)
        self._board.forget()
        return ReleaseView(request_id=body.request_id, state=str(entry.state))

    async def record_usage(self, body: UsageBody, key: IdempotencyKey = None) -> UsageView:
        """Book what a call took; without an allocation in full, beyond the room too."""
        name = _one_name(body.request_id, key) or f"u-{secrets.token_hex(8)}"
        await self._board.reach_store()
        spend = await self._desk.allocator.record(_report(body, self._prefix + name))
        self._board.forget()
        return UsageView(
            recorded=True,
            request_id=name,
            model=spend.model,
            tier=spend.tier,
            messages=spend.messages,
            tokens=TokensView.of(spend.usage),
            cost_usd=spend.cost_microusd / MICRO,
            simulated=spend.simulated,
        )

    async def throttle(self, body: ThrottleBody) -> ThrottleView:
        """Set a brake by hand, or take it off. Other processes heed it within a second."""
        now = self._clock.now()
        until = body.until if body.until is not None else NEVER
        if body.for_s is not None:
            until = now + body.for_s
        if until <= now:
            raise wrong_field(("body", "until"), "is over already")
        brake = None
        if body.level != "off":
            brake = Throttle(body.level, set_at=now, until=until, reason=body.reason, by=body.by)
        await self._book.set_throttle(brake)
        await self._desk.governor.refresh(now=True)
        self._board.forget()
        log.info("throttle set", level=body.level, until=until, reason=body.reason, by=body.by)
        return ThrottleView.of(brake)

    async def history(self, request: Request, query: Annotated[HistoryQuery, Query()]) -> Response:
        """The newest windows of a limit; of the plan's first one when none is named."""
        governor = self._desk.governor
        limit = query.limit or governor.ceilings.of_plan[0].key
        past = await governor.history(limit, query.most + 1)
        items = [PastWindow.of(balance) for balance in past[: query.most]]
        view = HistoryView(limit=limit, items=items, more=len(past) > query.most)
        return answer_tagged(request, view)

    async def summary(self, query: Annotated[SummaryQuery, Query()]) -> SummaryView:
        """What was spent, summed by model, project, agent, task, account or tier."""
        until = query.until if query.until is not None else self._clock.now() + 1.0
        since = query.since if query.since is not None else until - DAY_S
        if since > until:
            raise wrong_field(("query", "since"), "must not be after until")
        totals = await self._desk.spending.by(query.by, since, until)
        whole = SpendTotal(
            name="",
            messages=sum(total.messages for total in totals),
            usage=sum((total.usage for total in totals), Usage()),
            cost_microusd=sum(total.cost_microusd for total in totals),
        )
        return SummaryView(
            by=query.by,
            since=since,
            until=until,
            simulated=self._desk.simulated,
            total=SumView.of(whole),
            items=[SumView.of(total) for total in totals],
        )

    def router(self) -> APIRouter:
        """The endpoints by path."""
        router = APIRouter(prefix="/api/v1/helios", tags=["budget"])
        budget = "/budget"
        router.get(f"{budget}/status", response_model=StatusView)(self.status)
        router.get(f"{budget}/metrics", response_model=MetricsView)(self.metrics)
        router.get("/metrics", response_model=MetricsView, name="metrics_here_too")(self.metrics)
        router.get(f"{budget}/health")(self.health)
        router.post(f"{budget}/request")(self.request)
        router.post(f"{budget}/release")(self.release)
        router.post(f"{budget}/record-usage")(self.record_usage)
        router.post(f"{budget}/throttle")(self.throttle)
        router.get(f"{budget}/history", response_model=HistoryView)(self.history)
        router.get(f"{budget}/summary")(self.summary)
        return router


def _one_name(in_body: str | None, in_header: str | None) -> str | None:
    if in_body and in_header and in_body != in_header:
        raise wrong_field(("body", "request_id"), "differs from the header Idempotency-Key")
    return in_body or in_header


def _report(body: UsageBody, request_id: str) -> Report:
    usage = Usage(
        input_tokens=body.input_tokens,
        output_tokens=body.output_tokens,
        cache_write_tokens=body.cache_write_tokens,
        cache_read_tokens=body.cache_read_tokens,
        cache_write_1h_tokens=body.cache_write_1h_tokens,
    )
    return Report(
        request_id=request_id,
        model=body.model,
        usage=usage,
        messages=body.messages,
        account=body.account,
        project=body.project_id,
        task=body.task_id,
        agent=body.agent_type,
    )
