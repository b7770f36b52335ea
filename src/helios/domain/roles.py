"""Roles: what an agent is told and what it must return."""

from dataclasses import dataclass
from typing import Literal

from helios.domain.pricing import Tier

Output = Literal["patch", "review"]


@dataclass(frozen=True, slots=True)
class Role:
    """One role of the catalogue.

    `task_type` is the router's word for the kind of work; `instructions` the system prompt;
    `output` the shape of the answer; `minimum_tier` the weakest model that may be asked.
    """

    name: str
    about: str
    task_type: str
    instructions: str
    output: Output
    max_output_tokens: int = 4096
    minimum_tier: Tier = Tier.ECONOMY
