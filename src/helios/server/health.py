"""How the server itself stands, as callers read it."""

from typing import Literal

from pydantic import BaseModel


class UpstreamView(BaseModel):
    """What the gateway asks: how many requests it gets at once, how many are there and how many
    wait, and since when (UTC seconds) its breaker stands where it stands.
    """

    name: str
    breaker: Literal["closed", "open", "half-open"]
    since: float
    limit: int
    in_flight: int
    waiting: int


class ServerHealth(BaseModel):
    """That the server answers and its store too; `upstream` is null where there is no gateway."""

    status: Literal["ok"]
    version: str
    simulated: bool
    upstream: UpstreamView | None = None
