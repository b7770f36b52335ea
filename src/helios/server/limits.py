"""The endpoints of the ceilings that people set on accounts."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from helios.bootstrap.house import Desk
from helios.domain.budget.account import LimitRule, problem_with_account, problem_with_name
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Anchored, Calendar, Forever, OpensOnUse, WindowRule
from helios.server.board import Board
from helios.server.bodies import LimitBody, LimitsQuery, ThresholdsBody, WindowBody
from helios.server.problems import NoSuch, wrong_field
from helios.server.tags import answer_tagged

RulePath = Annotated[
    str,
    Path(
        description="The account and the rule's name, such as acme/mobile/daily; daily alone is a"
        " rule of everybody.",
        max_length=700,
        pattern=r"^[^\x00-\x1f\x7f]+$",
    ),
]

log = structlog.get_logger("helios.budget")


class LimitView(BaseModel):
    """A ceiling as it is set; `key` is its limit's in `status` and `history`."""

    account: str
    name: str
    key: str
    unit: Unit
    cap: int
    window: WindowBody
    strong_only: bool
    zoned: bool
    thresholds: ThresholdsBody

    @classmethod
    def of(cls, rule: LimitRule) -> "LimitView":
        """A rule as data."""
        t = rule.thresholds
        return cls(
            account=rule.account,
            name=rule.name,
            key=rule.key,
            unit=rule.unit,
            cap=rule.cap,
            window=_window(rule.window),
            strong_only=rule.strong_only,
            zoned=rule.zoned,
            thresholds=ThresholdsBody(
                throttle=t.throttle,
                critical=t.critical,
                critical_priority=t.critical_priority,
                yellow=t.yellow,
                red=t.red,
            ),
        )


class LimitsView(BaseModel):
    """All of them, by account and name."""

    items: list[LimitView]


class LimitsFace:
    """Reads and sets rules. Methods are endpoints; their docstrings are the reference's."""

    def __init__(self, desk: Desk, board: Board) -> None:
        self._desk = desk
        self._board = board
        self._book = desk.house.stores.budget

    async def list_limits(
        self, request: Request, query: Annotated[LimitsQuery, Query()]
    ) -> Response:
        """The ceilings of all accounts, or of one."""
        rules = await self._book.limit_rules()
        wanted = [r for r in rules if query.account is None or r.account == query.account]
        return answer_tagged(request, LimitsView(items=[LimitView.of(rule) for rule in wanted]))

    async def get_limit(self, request: Request, rule: RulePath) -> Response:
        """One ceiling."""
        account, name = _parts(rule)
        for found in await self._book.limit_rules():
            if (found.account, found.name) == (account, name):
                return answer_tagged(request, LimitView.of(found))
        raise _unknown(account, name)

    async def put_limit(self, rule: RulePath, body: LimitBody) -> LimitView:
        """Set a ceiling, new or in place of the old one. Others heed it within a second."""
        account, name = _parts(rule)
        wanted = body.rule(account, name)
        await self._book.put_limit_rule(wanted)
        await self._heed()
        log.info("limit set", limit=wanted.key, unit=str(wanted.unit), cap=wanted.cap)
        return LimitView.of(wanted)

    async def delete_limit(self, rule: RulePath) -> Response:
        """Forget a ceiling. What was booked on it stays in the books."""
        account, name = _parts(rule)
        if not await self._book.remove_limit_rule(account, name):
            raise _unknown(account, name)
        await self._heed()
        log.info("limit removed", account=account, name=name)
        return Response(status_code=204)

    async def _heed(self) -> None:
        await self._desk.governor.refresh(now=True)
        self._board.forget()

    def router(self) -> APIRouter:
        """The endpoints by path."""
        router = APIRouter(prefix="/api/v1/helios/budget/limits", tags=["limits"])
        router.get("", response_model=LimitsView)(self.list_limits)
        router.get("/{rule:path}", response_model=LimitView)(self.get_limit)
        router.put("/{rule:path}")(self.put_limit)
        router.delete("/{rule:path}", status_code=204)(self.delete_limit)
        return router


def _parts(path: str) -> tuple[str, str]:
    account, _, name = path.rpartition("/")
    if problem := problem_with_account(account) or problem_with_name(name):
        raise wrong_field(("path", "rule"), problem)
    return account, name


def _unknown(account: str, name: str) -> NoSuch:
    whose = account or "everybody"
    return NoSuch(f"there is no ceiling {name} of {whose}", "`GET limits` lists all of them.")


def _window(rule: WindowRule) -> WindowBody:
    match rule:
        case Forever():
            return WindowBody(kind="forever")
        case OpensOnUse(length_s):
            return WindowBody(kind="on-use", hours=length_s / 3600.0)
        case Anchored(length_s, anchor):
            return WindowBody(kind="anchored", hours=length_s / 3600.0, anchor=anchor)
        case Calendar(period, zone):
            return WindowBody(kind=period, zone=zone)
