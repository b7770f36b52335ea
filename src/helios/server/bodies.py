"""What callers send: request bodies and queries."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from helios.domain.budget.account import LimitRule
from helios.domain.budget.spend import SpendBy
from helios.domain.budget.units import Unit
from helios.domain.budget.window import Anchored, Calendar, Forever, OpensOnUse, WindowRule
from helios.domain.budget.zones import Thresholds
from helios.server.fields import (
    LATEST,
    MOST_AMOUNT,
    AccountPath,
    Closed,
    Count,
    Flag,
    Key,
    Moment,
    Priority,
    Seconds,
    Share,
    Text,
    Tokens,
    ZoneName,
)
from helios.services.allocations import ASSUMED_INPUT_TOKENS, ASSUMED_OUTPUT_TOKENS

LONGEST_WAIT_S = 60.0
LONGEST_WINDOW_H = 24.0 * 366


class AllocationBody(Closed):
    """A wish for budget. `input_tokens` and `max_tokens` bound each message; `wait_s` is how long
    to wait while room is only held by others. Task, project and agent are noted in the log.
    """

    task_id: Text = ""
    project_id: Text = ""
    agent_type: Text = ""
    preferred_model: Text = Field(
        default="", description="A model's name, its family (opus) or a tier (strong)."
    )
    estimated_messages: Count = 1
    priority: Priority = 5
    requires_opus: Flag = False
    request_id: Key | None = None
    input_tokens: Tokens = ASSUMED_INPUT_TOKENS
    max_tokens: Tokens = ASSUMED_OUTPUT_TOKENS
    account: AccountPath = ""
    wait_s: Annotated[Seconds, Field(le=LONGEST_WAIT_S)] = 0.0


class ReleaseBody(Closed):
    """Budget that was not used, by what its allocation answered."""

    request_id: Key
    fence: Annotated[int, Field(strict=True, ge=1, le=2**53)]


class UsageBody(Closed):
    """What a call took. With the `request_id` of an allocation it settles that allocation."""

    model: Annotated[
        Text, Field(min_length=1, description="The model's own name, or a tier (strong).")
    ]
    request_id: Key | None = None
    input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    cache_write_tokens: Tokens = 0
    cache_write_1h_tokens: Annotated[
        Tokens, Field(description="Those of cache_write_tokens that are kept for an hour.")
    ] = 0
    cache_read_tokens: Tokens = 0
    messages: Count = 1
    account: AccountPath = ""
    project_id: Text = ""
    task_id: Text = ""
    agent_type: Text = ""

    @model_validator(mode="after")
    def _part_of_the_whole(self) -> Self:
        if self.cache_write_1h_tokens > self.cache_write_tokens:
            raise ValueError("cache_write_1h_tokens are a part of cache_write_tokens")
        return self


class ThrottleBody(Closed):
    """A brake until a time, or `off`. Without `for` and `until` it holds until it is taken off."""

    level: Literal["throttle", "critical", "paused", "off"]
    for_s: Annotated[float, Field(gt=0, le=LATEST, allow_inf_nan=False, strict=True)] | None = (
        Field(default=None, alias="for", description="Seconds from now.")
    )
    until: Moment | None = None
    reason: Text = ""
    by: Text = ""

    @model_validator(mode="after")
    def _ends_once(self) -> Self:
        if self.for_s is not None and self.until is not None:
            raise ValueError("say `for` or `until`, not both")
        return self


class SummaryQuery(Closed):
    """Whose sums, and over which span; without `since` the last day, without `until` now."""

    by: SpendBy = "model"
    since: Moment | None = None
    until: Moment | None = None


class HistoryQuery(Closed):
    """Which limit's windows (its key as in `status`), and how many of the newest."""

    limit: Text = ""
    most: Annotated[int, Field(ge=1, le=1000)] = 24


class LimitsQuery(Closed):
    """The rules of one account alone, or of all."""

    account: AccountPath | None = None


class ThresholdsBody(Closed):
    """Shares of a limit where behaviour changes."""

    throttle: Share = 0.80
    critical: Share = 0.95
    critical_priority: Priority = 8
    yellow: Share = 0.60
    red: Share = 0.80

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.throttle > self.critical or self.yellow > self.red:
            raise ValueError("throttle must not be above critical, nor yellow above red")
        return self


class WindowBody(Closed):
    """How a limit's windows follow one another.

    `hours` goes with on-use and anchored, `anchor` with anchored, `zone` with day and month.
    """

    kind: Literal["forever", "on-use", "anchored", "day", "month"]
    hours: (
        Annotated[float, Field(gt=0, le=LONGEST_WINDOW_H, allow_inf_nan=False, strict=True)] | None
    ) = None
    anchor: Moment = 0.0
    zone: ZoneName = "UTC"

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        needs_hours = self.kind in ("on-use", "anchored")
        if needs_hours and self.hours is None:
            raise ValueError(f"a window of kind {self.kind} needs its length in `hours`")
        if not needs_hours and self.hours is not None:
            raise ValueError(f"a window of kind {self.kind} has no `hours`")
        return self

    def rule(self) -> WindowRule:
        """The same as a value of the rules."""
        length_s = (self.hours or 0.0) * 3600.0
        match self.kind:
            case "forever":
                return Forever()
            case "on-use":
                return OpensOnUse(length_s)
            case "anchored":
                return Anchored(length_s, self.anchor)
            case period:
                return Calendar(period, self.zone)


class LimitBody(Closed):
    """A ceiling. Amounts are whole: messages, tokens, millionths of a dollar, thousandths of a
    point.
    """

    unit: Unit
    cap: Annotated[int, Field(strict=True, ge=0, le=MOST_AMOUNT)]
    window: WindowBody
    strong_only: Flag = False
    zoned: Flag = False
    thresholds: ThresholdsBody = ThresholdsBody()

    def rule(self, account: str, name: str) -> LimitRule:
        """The same as a rule of an account."""
        thresholds = Thresholds(**self.thresholds.model_dump())
        return LimitRule(
            account=account,
            name=name,
            unit=self.unit,
            cap=self.cap,
            window=self.window.rule(),
            strong_only=self.strong_only,
            zoned=self.zoned,
            thresholds=thresholds,
        )
