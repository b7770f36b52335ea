"""What Helios must know of a Claude model beyond its price."""

import re

from helios.domain.pricing import Tier

_FAMILIES = {
    "haiku": Tier.ECONOMY,
    "instant": Tier.ECONOMY,
    "sonnet": Tier.STANDARD,
    "opus": Tier.STRONG,
    "fable": Tier.FRONTIER,
    "mythos": Tier.FRONTIER,
}

# Models before 5.1 and Haiku 5.5 accept a forced tool; the list is closed, because the models
# after them answer it with 400 on every request, and `auto` is accepted by all.
_FORCED_TOOL = re.compile(
    r"claude-(?:2|3-|instant|v1|(?:haiku|sonnet|opus)-4|(?:sonnet|opus|fable|mythos)-5(?![-.]\d{1,2}\b)"
    r"|haiku-5[-.]5)"
)


def tier_of(name: str) -> Tier | None:
    """The tier of a Claude model by its family; None when the family is unknown."""
    return next((tier for family, tier in _FAMILIES.items() if family in name), None)


def accepts_forced_tool(name: str) -> bool:
    """Whether a request may name the one tool the model has to call."""
    return _FORCED_TOOL.match(name) is not None
