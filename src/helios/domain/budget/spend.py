"""What was spent, by whom and on what: rows that usage by model, project and time is made of."""

from dataclasses import dataclass
from typing import Literal

from helios.domain.usage import Usage

SpendBy = Literal["model", "project", "agent", "task", "account", "tier"]


@dataclass(frozen=True, slots=True)
class Spend:
    """One answered call, or usage that somebody reported. Names that are not known are empty.

    `asked` is the model that was asked for, where somebody else may have decided; `message_id` the
    provider's name for the answer.
    """

    request_id: str
    at: float
    model: str
    tier: str
    usage: Usage
    cost_microusd: int
    simulated: bool
    source: Literal["run", "api", "gateway"]
    messages: int = 1
    account: str = ""
    project: str = ""
    task: str = ""
    agent: str = ""
    asked: str = ""
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class SpendTotal:
    """The sum over all rows with the same name."""

    name: str
    messages: int
    usage: Usage
    cost_microusd: int


@dataclass(frozen=True, slots=True)
class SpendSample:
    """What was spent in one span of time that began at `at` (UTC seconds)."""

    at: float
    messages: int
    tokens: int
    cost_microusd: int
